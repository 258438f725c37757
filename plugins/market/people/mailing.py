"""Sends the mails about accounts that are due; a loop of the market's calls it.

Whoever sends may be killed at any moment: the mail is then sent again, with another code, and the older one
is good no more. A server that is away is asked again later and later.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Any

from market.kit import database, mail
from market.kit.clock import now_ms
from market.kit.errors import MarketError
from market.kit.settings import load
from market.kit.text import storable
from market.kit.vocabulary import CONFIRM, DELETION, RESET
from market.people import account_mails, codes

log = logging.getLogger(__name__)

CONFIRM_PAGE, RESET_PAGE = "/pluginsv2/market/account/confirm", "/pluginsv2/market/account/reset"
_PASS_S = 20.0
_LEASE_MS = 120_000  # longer than any mail takes
_WAITS_MS = (5_000, 30_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000)
_KEPT_MS = 24 * 3600 * 1000
_MAX_FAILURE = 300


def run() -> None:
    """Send what is due, for a while, and forget what has expired."""
    if not load().mail.enabled:
        return
    with database.transaction() as cursor:
        cursor.execute("DELETE FROM account_mail WHERE expires_ms < %s", [now_ms() - _KEPT_MS])
    until = time.monotonic() + _PASS_S
    while time.monotonic() < until and (due := _claim()):
        try:
            _send(due)
        except mail.MailRefusedError as error:
            _failed(due, error, for_good=True)
        except Exception as error:
            if not isinstance(error, MarketError):
                log.exception("a mail about an account failed")
            _failed(due, error)


@database.again
def _claim() -> Any:
    """Claim the mail that has been due for longest; None if there is none."""
    at_ms = now_ms()
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE account_mail SET next_ms = %s, tries = tries + 1 WHERE mail_id = ("
            " SELECT mail_id FROM account_mail WHERE next_ms <= %s AND expires_ms > %s"
            " ORDER BY next_ms LIMIT 1 FOR UPDATE SKIP LOCKED)"
            " RETURNING mail_id, kind, named, user_id, email, tries",
            [at_ms + _LEASE_MS, at_ms, at_ms],
        )
        return cursor.fetchone()


def _send(due: Any) -> None:
    """Send one mail. Raises MailRefusedError, UnavailableError."""
    code = codes.new() if due.kind in account_mails.CODED else ""
    with database.transaction() as cursor:
        whom = _addressee(cursor, due)
        if whom is None:
            cursor.execute("DELETE FROM account_mail WHERE mail_id = %s", [due.mail_id])
            return
        cursor.execute(
            "UPDATE account_mail SET user_id = %s, email = %s, named = NULL, hash = %s, expires_ms = %s"
            " WHERE mail_id = %s AND next_ms IS NOT NULL",
            [
                *(whom.user_id, whom.email, codes.hashed(code) if code else None),
                *(now_ms() + account_mails.LIFETIMES_MS[due.kind], due.mail_id),
            ],
        )
        if not cursor.rowcount:  # ended meanwhile
            return
    subject, text = _words(due.kind, whom.username, whom.email, code, whom.deletion_due_ms)
    mail.send(whom.email, subject, text)
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE account_mail SET next_ms = NULL, failure = '' WHERE mail_id = %s", [due.mail_id]
        )


def _addressee(cursor: database.Cursor, due: Any) -> Any:
    """Return whom a mail is for: a member's id and name, and the address; None for nobody.

    A deletion that was taken back before its mail was sent is for nobody.
    """
    if due.user_id is not None:
        cursor.execute(
            "SELECT user_id, username, deletion_due_ms, %s AS email FROM member WHERE user_id = %s",
            [due.email, due.user_id],
        )
        member = cursor.fetchone()
        return None if due.kind == DELETION and member.deletion_due_ms is None else member
    cursor.execute(
        "SELECT c.user_id, m.username, m.deletion_due_ms, c.email"
        " FROM confirmed_mail c JOIN member m USING (user_id)"
        " WHERE m.username = lower(%(named)s) OR lower(c.email) = lower(%(named)s) LIMIT 1",
        {"named": due.named},
    )
    found = cursor.fetchone()
    if found is None:
        return None
    if account_mails.recent(cursor, RESET, found.email, now_ms()) >= account_mails.MOST_AN_HOUR:
        return None
    return found


@database.again
def _failed(due: Any, error: Exception, for_good: bool = False) -> None:
    words = getattr(error, "detail", type(error).__name__)
    over = for_good or due.tries > len(_WAITS_MS)
    next_ms = None if over else now_ms() + _WAITS_MS[due.tries - 1]
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE account_mail SET next_ms = %s, failure = %s WHERE mail_id = %s AND next_ms IS NOT NULL",
            [next_ms, storable(words, _MAX_FAILURE), due.mail_id],
        )


def _words(kind: str, username: str, email: str, code: str, deletion_due_ms: int | None) -> tuple[str, str]:
    """Return the subject and the text of a mail."""
    market = load().url("api")
    account = f"the account {username} at {market}"
    if kind == CONFIRM:
        subject = "Confirm your address"
        body = f"""Somebody, you most likely, has given {email} as the address of {account}.
Open this within three days to confirm that it is yours:

{market}{CONFIRM_PAGE}#{code}

or type: market account confirm {code}

If it was not you, do nothing: the address does not count then."""
    elif kind == RESET:
        subject = "A new password"
        body = f"""Somebody, you most likely, has asked for a new password of {account}.
Open this within 30 minutes to set one; it works once:

{market}{RESET_PAGE}#{code}

or type: market account reset --code {code}

If it was not you, do nothing: your password stays as it is."""
    elif kind == DELETION:
        assert deletion_due_ms is not None
        day = datetime.fromtimestamp(deletion_due_ms / 1000, UTC).strftime("%Y-%m-%d")
        subject = "Your account will be deleted"
        body = f"""Somebody with the password of {account} has asked for its deletion.
It is deactivated already. On {day} (UTC) its files, secrets, tokens, address and name are removed.
Until then an administrator of the market can reopen it, which takes the deletion back.

If it was not you, ask an administrator at once to reopen it."""
    else:
        subject = "Another address for your account"
        body = f"""Somebody with the password of {account} has given it another address.
It takes the place of this one when it is confirmed.

If it was not you, change your password now: that ends it."""
    return subject, f"Hello {username},\n\n{body}\n"
