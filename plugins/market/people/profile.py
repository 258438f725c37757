"""A member as he is shown to himself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from market.credits import ledger
from market.kit import database
from market.kit.errors import NotLoggedInError
from market.kit.money import format_credits
from market.people import approvals, confirmation, members, opening
from market.people.logins import Logins
from market.people.member import Member


def profile(member: Member) -> dict[str, Any]:
    """Return the User record: names, address, role, balance, and what the account waits for."""
    with database.transaction() as cursor:
        balance_ucr = ledger.balances(cursor, member.user_id).balance_ucr
        cursor.execute("SELECT created_ms FROM member WHERE user_id = %s", [member.user_id])
        created_ms = cursor.fetchone().created_ms
        address = confirmation.state(cursor, member)
        approval = approvals.of(cursor, member.user_id)
        waits_for = opening.waits_for(cursor, member.user_id)
    return {
        "user_id": member.user_id,
        "username": member.username,
        "display_name": member.display_name or member.username,
        "email": member.email,
        "email_confirmed": address.confirmed,
        "new_email": address.new_email,
        "email_failure": address.failure,
        "approval": approval[0] if approval else None,
        "approval_reason": approval[1] if approval else "",
        "credit_waits_for": waits_for,
        "is_admin": member.is_admin,
        "credit": format_credits(balance_ucr),
        "created_time": created_ms,
    }


def rename(logins: Logins, member: Member, display_name: str) -> dict[str, Any]:
    """Give a member another name to be shown by; return his record."""
    login_id = members.login_id(member.username)
    if login_id is None:
        raise NotLoggedInError("This account was deleted just now.")
    logins.rename(login_id, display_name)
    return profile(replace(member, display_name=display_name))
