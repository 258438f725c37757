"""Refunds that an administrator makes, with a reason; the settlement itself refunds what the pool lost."""

from __future__ import annotations

from market.credits import ledger
from market.kit import audit, database
from market.kit.clock import new_id
from market.kit.errors import BadInputError
from market.kit.money import format_credits, parse_credits


@database.again
def give(
    giver_id: str,
    job_id: str,
    amount: str,
    reason: str,
    answering: database.Answering | None = None,
    giver: str = "",
) -> dict[str, str]:
    """Give back `amount` credits (a decimal string) of what a settled job has paid; return the refund.

    `giver` is the name of whoever gives, for the audit.
    `refunded` in the answer is all that was given back for the job so far. Raises BadInputError for more than
    the job has paid and not got back yet, ConflictError while it is not settled, NotFoundError.
    """
    with database.transaction() as cursor:
        key = f"refund:{giver_id}:{job_id}:{new_id()}"
        try:
            ledger.refund(cursor, job_id, parse_credits(amount), reason, key)
        except ledger.RefundTooLargeError as error:
            most = format_credits(error.left_ucr)
            raise BadInputError(
                {"amount": [f"may be {most} at most, what is left of what the job has paid"]}
            ) from error
        audit.write(
            cursor, audit.ADMINISTRATION, giver or giver_id, job_id, f"refunded {amount} credits: {reason}"
        )
        cursor.execute(
            "SELECT user_id, refunded_ucr(job_id) AS ucr FROM hold WHERE job_id = %s",
            [job_id],
        )
        row = cursor.fetchone()
        answer = {
            "job_id": job_id,
            "user_id": row.user_id,
            "amount": format_credits(parse_credits(amount)),
            "reason": reason,
            "refunded": format_credits(row.ucr),
        }
        if answering is not None:
            answering(cursor, answer)
    return answer
