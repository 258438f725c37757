"""Grants: credits that an administrator gives from the treasury, with a reason."""

from __future__ import annotations

from market.credits import ledger
from market.kit import audit, database
from market.kit.clock import new_id
from market.kit.money import format_credits, parse_credits


@database.again
def give(
    giver_id: str,
    user_id: str,
    amount: str,
    reason: str,
    answering: database.Answering | None = None,
    giver: str = "",
) -> dict[str, str]:
    """Give `amount` credits (a decimal string) to a user; return the grant and the balance after it.

    `giver` is the name of whoever gives, for the audit.

    Raises NotFoundError if the user has no account.
    """
    with database.transaction() as cursor:
        key = f"grant:{giver_id}:{user_id}:{new_id()}"
        ledger.grant(cursor, user_id, parse_credits(amount), reason, key)
        audit.write(
            cursor, audit.ADMINISTRATION, giver or giver_id, user_id, f"granted {amount} credits: {reason}"
        )
        answer = {
            "user_id": user_id,
            "amount": format_credits(parse_credits(amount)),
            "reason": reason,
            "balance": format_credits(ledger.balances(cursor, user_id).balance_ucr),
        }
        if answering is not None:
            answering(cursor, answer)
    return answer
