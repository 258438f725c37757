"""The opening grant: the first credits of an account, paid once, when nothing is waited for any more."""

from __future__ import annotations

from market.credits import ledger
from market.kit.database import Cursor
from market.kit.settings import load
from market.kit.vocabulary import APPROVED, CONFIRMED
from market.people import retired_addresses

CONFIRMATION, APPROVAL = WAITS = ("confirmation", "approval")


def pay(cursor: Cursor, user_id: str) -> None:
    """Pay a member's opening grant if it is due and was not paid; in the caller's transaction.

    None is due where an account that is deleted had confirmed this address: it would be the second one. To be
    called whenever that may have become true: at registration, at each login, when an address is
    confirmed, when an account is approved.
    """
    grant_ucr = load().credits.micro("signup_grant")
    if not grant_ucr or _paid(cursor, user_id) or waits_for(cursor, user_id) is not None:
        return
    if not retired_addresses.has(cursor, user_id):
        ledger.grant(cursor, user_id, grant_ucr, "signup", key=_key(user_id))


def waits_for(cursor: Cursor, user_id: str) -> str | None:
    """Return what the opening grant still waits for; None for nothing, or if it was paid."""
    if _paid(cursor, user_id):
        return None
    cursor.execute(
        "SELECT EXISTS (SELECT FROM approval WHERE user_id = %(user)s AND state <> %(approved)s) AS waits,"
        " EXISTS (SELECT FROM confirmed_mail WHERE user_id = %(user)s) AS confirmed",
        {"user": user_id, "approved": APPROVED},
    )
    row = cursor.fetchone()
    if row.waits:
        return APPROVAL
    if load().accounts.registration == CONFIRMED and not row.confirmed:
        return CONFIRMATION
    return None


def _paid(cursor: Cursor, user_id: str) -> bool:
    cursor.execute("SELECT EXISTS (SELECT FROM journal WHERE key = %s) AS paid", [_key(user_id)])
    return bool(cursor.fetchone().paid)


def _key(user_id: str) -> str:
    return f"signup:{user_id}"
