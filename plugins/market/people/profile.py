"""A member as he is shown to himself."""

from __future__ import annotations

from typing import Any

from market.credits import ledger
from market.kit import database
from market.kit.money import format_credits
from market.people.member import Member


def profile(member: Member) -> dict[str, Any]:
    """Return the User record: name, address, role, balance."""
    with database.transaction() as cursor:
        balance_ucr = ledger.balances(cursor, member.user_id).balance_ucr
        cursor.execute("SELECT created_ms FROM member WHERE user_id = %s", [member.user_id])
        created_ms = cursor.fetchone().created_ms
    return {
        "user_id": member.user_id,
        "username": member.username,
        "email": member.email,
        "is_admin": member.is_admin,
        "credit": format_credits(balance_ucr),
        "created_time": created_ms,
    }
