"""Grants: credits that an administrator gives from the treasury, with a reason."""

from __future__ import annotations

import hashlib

from market import db
from market.clock import new_id
from market.credits import ledger
from market.credits.units import format_credits, parse_credits


@db.again
def give(giver_id: str, user_id: str, amount: str, reason: str, request_key: str | None) -> dict[str, str]:
    """Give `amount` credits (a decimal string) to a user; return the grant and the balance after it.

    The same giver's `request_key` for the same user gives only once. Raises NotFoundError if the user has no
    account, KeyReusedError if the key was used for another amount or reason.
    """
    once = hashlib.sha256(request_key.encode()).hexdigest() if request_key is not None else new_id()
    key = f"grant:{giver_id}:{user_id}:{once}"
    with db.transaction() as cursor:
        ledger.grant(cursor, user_id, parse_credits(amount), reason, key)
        balance_ucr = ledger.balances(cursor, user_id).balance_ucr
    return {
        "user_id": user_id,
        "amount": format_credits(parse_credits(amount)),
        "reason": reason,
        "balance": format_credits(balance_ucr),
    }
