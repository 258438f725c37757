"""A member's e-mail address: confirmed by a code that is mailed there, and changed to another one.

An address is confirmed for one account and for no second one, in capital or small letters. A new address
takes the old one's place when it is confirmed. Where the market sends no mail nobody can confirm anything:
there a new address takes its place at once, and counts as any other that is not confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass

from market.kit import audit, database
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.errors import BadInputError, ConflictError
from market.kit.mail_settings import is_address
from market.kit.settings import load
from market.kit.vocabulary import CONFIRM, LEAVING
from market.people import account_mails, limits, opening
from market.people.logins import Logins
from market.people.member import Member

_TAKEN = "This e-mail address was confirmed by another account. Use that account, or give another address."


@dataclass(frozen=True)
class Address:
    """How a member's address stands; `new_email` is one that waits to be confirmed in its place."""

    confirmed: bool
    new_email: str | None
    failure: str  # why the last mail with a code could not be sent


def state(cursor: Cursor, member: Member) -> Address:
    """Return how a member's address stands."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM confirmed_mail WHERE user_id = %s) AS confirmed", [member.user_id]
    )
    confirmed = cursor.fetchone().confirmed
    cursor.execute(
        "SELECT email, failure, (hash IS NOT NULL OR next_ms IS NOT NULL) AND expires_ms > %s AS open"
        " FROM account_mail WHERE user_id = %s AND kind = %s ORDER BY created_ms DESC LIMIT 1",
        [now_ms(), member.user_id, CONFIRM],
    )
    row = cursor.fetchone()
    if row is None:
        return Address(confirmed, None, "")
    waits = row.open and row.email.lower() != member.email.lower()
    return Address(confirmed, row.email if waits else None, row.failure)


def ask(member: Member) -> None:
    """Have a code mailed to a member's address: to the new one if one waits.

    Raises ConflictError if there is nothing to confirm, or this market sends no mail; OverLimitError.
    """
    account_mails.check_mail()
    with database.transaction() as cursor:
        now = state(cursor, member)
        if now.confirmed and now.new_email is None:
            raise ConflictError(f"{member.email} is confirmed already.")
        add(cursor, member.user_id, now.new_email or member.email)


def add(cursor: Cursor, user_id: str, email: str) -> None:
    """Have a code mailed by which a member confirms an address. Raises OverLimitError, BadInputError."""
    if not is_address(email):
        raise BadInputError({"email": ["is no address that this market can send mail to"]})
    account_mails.end(cursor, CONFIRM, user_id)
    account_mails.add(cursor, CONFIRM, user_id, email)


def change(logins: Logins, member: Member, password: str, email: str) -> bool:
    """Give a member another address, when it is confirmed; tell whether it waits for that.

    Raises BadInputError for a wrong password, ConflictError for an address of another account,
    OverLimitError.
    """
    who = logins.check(member.username, password)
    if who is None or who.username != member.username:
        raise BadInputError({"password": ["is wrong"]})
    email = email.lower()
    if email == member.email.lower():
        raise BadInputError({"email": ["is the one that you have"]})
    other = logins.with_email(email)
    if other is not None and other.login_id != who.login_id:
        raise ConflictError("This e-mail address has an account already. Give another one.")
    with database.transaction() as cursor:
        _check_free(cursor, member.user_id, email)
        audit.write(cursor, audit.ACCOUNT, member.username, "e-mail", "another address given")
        if load().mail.enabled:
            add(cursor, member.user_id, email)
            if state(cursor, member).confirmed:
                account_mails.add(cursor, LEAVING, member.user_id, member.email)
            return True
        cursor.execute("UPDATE member SET email = %s WHERE user_id = %s", [email, member.user_id])
        logins.change_email(who.login_id, email)  # last: it raises if somebody else was faster
    return False


def confirm(logins: Logins, code: str, address: str) -> str:
    """Confirm the address that a code was mailed to, and return it; a new one takes the old one's place.

    The opening grant is paid if it waited for this. `address` is the caller's. Raises BadInputError for a
    code that is not good any more, ConflictError if another account has the address, OverLimitError.
    """
    limits.code(address)
    sent = account_mails.take(CONFIRM, code)
    with database.transaction() as cursor:
        _check_free(cursor, sent.user_id, sent.email)
        cursor.execute(
            "INSERT INTO confirmed_address VALUES (lower(%s), %s, %s) ON CONFLICT (email) DO NOTHING",
            [sent.email, sent.user_id, now_ms()],
        )
        _check_free(cursor, sent.user_id, sent.email)  # the other one may have been faster by a moment
        cursor.execute(
            "SELECT username, fab_user_id, email, erasing_ms FROM member WHERE user_id = %s FOR UPDATE",
            [sent.user_id],
        )
        before = cursor.fetchone()
        if before.erasing_ms is not None:
            raise BadInputError({"code": ["is of an account that was deleted"]})
        cursor.execute("UPDATE member SET email = %s WHERE user_id = %s", [sent.email, sent.user_id])
        opening.pay(cursor, sent.user_id)
        audit.write(cursor, audit.ACCOUNT, before.username, "e-mail", "address confirmed")
        if before.email.lower() != sent.email.lower():
            logins.change_email(before.fab_user_id, sent.email)
    return sent.email


def _check_free(cursor: Cursor, user_id: str, email: str) -> None:
    cursor.execute(
        "SELECT FROM confirmed_address WHERE email = lower(%s) AND user_id <> %s", [email, user_id]
    )
    if cursor.rowcount:
        raise ConflictError(_TAKEN)
