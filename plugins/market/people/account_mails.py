"""Mails about accounts themselves, and the one-time codes in them: written down here, sent by `mailing`.

A code is good once: whoever takes it first has it, of any number that try at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass

from market.kit import database
from market.kit.clock import new_id, now_ms
from market.kit.database import Cursor
from market.kit.errors import BadInputError, ConflictError, OverLimitError
from market.kit.settings import load
from market.kit.vocabulary import CONFIRM, DELETION, LEAVING, RESET
from market.people import codes

CODED = (CONFIRM, RESET)
_DAY_MS = 24 * 3600 * 1000
# How long a code is good for, from when it is sent; of mails without one, how long they are tried.
LIFETIMES_MS = {CONFIRM: 3 * _DAY_MS, RESET: 30 * 60 * 1000, LEAVING: _DAY_MS, DELETION: _DAY_MS}
MOST_AN_HOUR = 5  # mails of one kind to one address, whoever asks for them
HOUR_MS = 3600 * 1000
_MOST_WAITING = 10_000  # asked for by strangers, and not looked at yet
_INVALID = "is not valid: it was used, has expired, or a newer one was made. Ask for another one"


@dataclass(frozen=True)
class Sent:
    """What a code was mailed for."""

    user_id: str
    email: str


def check_mail() -> None:
    """Raise ConflictError if this market sends no mail."""
    if not load().mail.enabled:
        raise ConflictError("This market sends no mail. Ask its administrator.")


def add(cursor: Cursor, kind: str, user_id: str, email: str) -> None:
    """Have a mail sent to a member's address, in the caller's transaction.

    Raises OverLimitError when that address got as many in this hour as it may.
    """
    at_ms = now_ms()
    if recent(cursor, kind, email, at_ms) >= MOST_AN_HOUR:
        raise OverLimitError(
            f"{MOST_AN_HOUR} such mails an hour go to one address. Look for them there, or wait an hour."
        )
    cursor.execute(
        "INSERT INTO account_mail (mail_id, kind, user_id, email, created_ms, expires_ms, next_ms)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [new_id(), kind, user_id, email, at_ms, at_ms + LIFETIMES_MS[kind], at_ms],
    )


def recent(cursor: Cursor, kind: str, email: str, at_ms: int) -> int:
    """Return how many mails of a kind an address got in the last hour; nobody adds one until the commit."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('mails to ' || lower(%s), 0))", [email])
    cursor.execute(
        "SELECT count(*) AS n FROM account_mail"
        " WHERE lower(email) = lower(%s) AND kind = %s AND created_ms > %s",
        [email, kind, at_ms - HOUR_MS],
    )
    return int(cursor.fetchone().n)


def add_reset(named: str) -> None:
    """Have a code mailed to whoever this name or address is, without looking it up. Raises OverLimitError."""
    at_ms = now_ms()
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO account_mail (mail_id, kind, named, created_ms, expires_ms, next_ms)"
            " SELECT %s, %s, %s, %s, %s, %s"
            " WHERE (SELECT count(*) FROM account_mail WHERE named IS NOT NULL) < %s",
            [new_id(), RESET, named, at_ms, at_ms + LIFETIMES_MS[RESET], at_ms, _MOST_WAITING],
        )
        if not cursor.rowcount:
            raise OverLimitError("Too many people ask for a new password now. Try again in a few minutes.")


def look(kind: str, code: str) -> Sent:
    """Return what a code was mailed for, which stays good. Raises BadInputError if it is not."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT user_id, email FROM account_mail WHERE hash = %s AND kind = %s AND expires_ms > %s",
            [codes.hashed(code), kind, now_ms()],
        )
        return _sent(cursor)


@database.again
def take(kind: str, code: str) -> Sent:
    """Use a code up, and return what it was mailed for. Raises BadInputError if it is not good any more."""
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE account_mail SET hash = NULL WHERE hash = %s AND kind = %s AND expires_ms > %s"
            " RETURNING user_id, email",
            [codes.hashed(code), kind, now_ms()],
        )
        return _sent(cursor)


def _sent(cursor: Cursor) -> Sent:
    row = cursor.fetchone()
    if row is None:
        raise BadInputError({"code": [_INVALID]})
    return Sent(row.user_id, row.email)


def end(cursor: Cursor, kind: str, user_id: str) -> None:
    """Have no code of this kind of a member be good any more, nor be sent."""
    cursor.execute(
        "UPDATE account_mail SET hash = NULL, next_ms = NULL WHERE user_id = %s AND kind = %s",
        [user_id, kind],
    )


def end_all(login_id: int) -> None:
    """End all codes of a login whose password was changed: who knew the old one may have asked for them."""
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE account_mail a SET hash = NULL, next_ms = NULL"
            " FROM member m WHERE m.user_id = a.user_id AND fab_user_id = %s AND kind = ANY (%s)",
            [login_id, list(CODED)],
        )


def forget(cursor: Cursor, user_id: str) -> None:
    """Delete all mails of a member, with the addresses that they went to, in the caller's transaction."""
    cursor.execute("DELETE FROM account_mail WHERE user_id = %s", [user_id])
