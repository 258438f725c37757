"""A member's account in one view, as it goes over the wire."""

from __future__ import annotations

from market.credits import ledger
from market.credits.price import current_rate_micro
from market.kit import database
from market.kit.money import format_credits


def summary(user_id: str) -> dict[str, str]:
    """Return the Credit record: what was earned, spent, granted and is held, and the current rate.

    `owed` is what has to be given back of attempts that one's machine lost, and is taken from the next
    earnings. Raises NotFoundError if there is no such account.
    """
    with database.transaction() as cursor:
        balances = ledger.balances(cursor, user_id)
        owed_ucr = ledger.owed_ucr(cursor, user_id)
        rate = current_rate_micro(cursor)
    return {
        "user_id": user_id,
        "sharing_credit": format_credits(balances.sharing_ucr),
        "using_credit": format_credits(balances.using_ucr),
        "granted": format_credits(balances.granted_ucr),
        "transferred": format_credits(balances.transferred_ucr),
        "balance": format_credits(balances.balance_ucr),
        "held": format_credits(balances.held_ucr),
        "available": format_credits(balances.available_ucr),
        "owed": format_credits(owed_ucr),
        "rate": format_credits(rate),
    }
