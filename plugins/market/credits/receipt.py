"""A job's receipt: what each container held, and what it cost. Every amount follows from its line.

    amount = floor(rate x (weight x vcores + GiB weight x MiB / 1024) x seconds / 3600), in micro-credits

and `rounding` is what the floor drops. A line that paid less says why in `not_charged_because`.
What came back of a lost attempt is taken off its lines: what a lender gave back off those of his machine, the
treasury's part off the others first; what was paid for the payer's own machines stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from market.credits.tariff import price
from market.kit.database import Cursor
from market.kit.errors import NotFoundError
from market.kit.money import format_credits

# A line shows the time that was charged last. While an interval is being settled, its usage line is there
# before its charge, so the line before it counts.
_LINES = """
    SELECT c.container_id, c.role, c.host, c.machine_id, c.vcores, c.memory_mib,
           coalesce(u.charged_ms, 0) AS charged_ms, coalesce(u.amount_ucr, 0) AS amount_ucr,
           coalesce(u.total_ucr, 0) AS paid_ucr,
           (SELECT not_charged_because FROM usage_line l WHERE l.container_id = c.container_id
            ORDER BY l.interval_id DESC LIMIT 1) AS not_charged_because,
           c.attempt, coalesce(r.amount_ucr, 0) AS refunded_ucr, b.returned_ucr,
           coalesce(c.machine_id = r.machine_id, false) AS lost_it,
           coalesce(r.own_ucr > 0 AND m.user_id IN (h.user_id, j.user_id), false) AS own,
           (SELECT point FROM run JOIN job_point p USING (job_id, point)
            WHERE run.application_id = c.application_id AND p.params <> '{}') AS point
    FROM container_usage c
    JOIN hold h USING (job_id)
    JOIN job j USING (job_id)
    LEFT JOIN machine m ON m.machine_id = c.machine_id
    LEFT JOIN LATERAL (SELECT l.charged_ms, l.amount_ucr, k.total_ucr
                       FROM usage_line l JOIN charge k USING (container_id, interval_id)
                       WHERE l.container_id = c.container_id
                       ORDER BY l.interval_id DESC LIMIT 1) u ON true
    LEFT JOIN refund r ON r.job_id = c.job_id AND r.attempt = c.attempt
    CROSS JOIN LATERAL (SELECT coalesce(sum(p.amount_ucr), 0)::bigint AS returned_ucr FROM repayment p
                        WHERE p.job_id = r.job_id AND p.attempt = r.attempt) b
    WHERE c.job_id = %s
    ORDER BY c.start_ms, c.container_id
"""
_HOLD = """
    SELECT h.rate_micro, h.weight_micro, h.gib_weight_micro, settled_job(h) AS final,
           coalesce(p.name, s.username) AS payer, s.username AS submitter
    FROM hold h JOIN job j USING (job_id) JOIN member s ON s.user_id = j.user_id
    LEFT JOIN project p ON p.project_id = j.project_id
    WHERE h.job_id = %s
"""
_GIVEN_BACK = """
    SELECT j.at_ms, t.amount_ucr, j.note FROM journal j JOIN transfer t USING (journal_id)
    WHERE j.job_id = %s AND j.kind = 'refund' AND j.interval_id IS NULL
    ORDER BY j.at_ms, j.journal_id
"""


# Of lost attempts: what the treasury gave back, what lenders did, and what they still owe.
_BACK = """
    SELECT coalesce(sum(r.amount_ucr), 0)::bigint AS refunded_ucr,
           coalesce(sum(p.ucr), 0)::bigint AS returned_ucr,
           coalesce(sum(r.return_ucr - p.ucr), 0)::bigint AS owed_ucr
    FROM refund r
    CROSS JOIN LATERAL (SELECT coalesce(sum(amount_ucr), 0)::bigint AS ucr FROM repayment p
                        WHERE p.job_id = r.job_id AND p.attempt = r.attempt) p
    WHERE r.job_id = %s
"""


def receipt(cursor: Cursor, job_id: str) -> dict[str, Any]:
    """Return what a job cost so far: `job_id, rate, gib_weight, charge, final, containers, refunds` and more.

    `charge` is the sum of the containers' amounts. It is also what settlements posted for the job: what they
    captured less what the treasury (`refunded`) and lenders (`returned`) gave back of lost attempts. `owed`
    is what a lender still has to give back. Refunds by administrators are not in the charge: they stand in
    `refunds`. `payer` is the name of the project that pays, or of the `submitter`. Raises NotFoundError if
    the job has no hold.
    """
    cursor.execute(_HOLD, [job_id])
    hold = cursor.fetchone()
    if hold is None:
        raise NotFoundError("There is no such job.")
    cursor.execute(_LINES, [job_id])
    rows = cursor.fetchall()
    cursor.execute(_GIVEN_BACK, [job_id])
    given_back = cursor.fetchall()
    cursor.execute(_BACK, [job_id])
    back = cursor.fetchone()
    amounts = _amounts(rows)
    return {
        "job_id": job_id,
        "payer": hold.payer,
        "submitter": hold.submitter,
        "rate": format_credits(hold.rate_micro),
        "gib_weight": format_credits(hold.gib_weight_micro),
        "charge": format_credits(sum(amounts)),
        "final": hold.final,
        "containers": [_line(row, hold, amount) for row, amount in zip(rows, amounts, strict=True)],
        "refunded": format_credits(back.refunded_ucr),
        "returned": format_credits(back.returned_ucr),
        "owed": format_credits(back.owed_ucr),
        "refunds": [
            {"at": row.at_ms, "amount": format_credits(row.amount_ucr), "reason": row.note}
            for row in given_back
        ],
    }


def _amounts(rows: Sequence[Any]) -> list[int]:
    """Return what each line costs in micro-credits, less what came back of its attempt."""
    amounts = [int(row.paid_ucr) for row in rows]
    places = range(len(rows))

    def take_off(back: Mapping[int, int], chosen: Iterable[int]) -> None:
        left = dict(back)
        for place in chosen:
            part = min(amounts[place], left[rows[place].attempt])
            left[rows[place].attempt] -= part
            amounts[place] -= part

    returned = {row.attempt: row.returned_ucr for row in rows}
    take_off(returned, [place for place in places if rows[place].lost_it])
    others_first = sorted(places, key=lambda place: rows[place].lost_it)
    refunded = {row.attempt: row.refunded_ucr for row in rows}
    take_off(refunded, [place for place in others_first if not rows[place].own])
    return amounts


def _line(row: Any, hold: Any, amount_ucr: int) -> dict[str, Any]:
    exact = price(
        hold.rate_micro, hold.weight_micro, hold.gib_weight_micro, row.vcores, row.memory_mib, row.charged_ms
    )
    dropped = exact - exact.numerator // exact.denominator
    return ({} if row.point is None else {"point": row.point}) | {
        "container_id": row.container_id,
        "role": row.role,
        "host": row.host,
        "machine_id": row.machine_id,
        "seconds": row.charged_ms / 1000,
        "vcores": row.vcores,
        "memory_mib": row.memory_mib,
        "weight": format_credits(hold.weight_micro),
        "amount": format_credits(amount_ucr),
        "rounding": f"{Decimal(dropped.numerator) / Decimal(dropped.denominator):.6f}",
        "not_charged_because": _reason(row, amount_ucr),
    }


def _reason(row: Any, amount_ucr: int) -> str | None:
    """Return why a line paid less than its container's time would cost."""
    if row.not_charged_because is not None:
        return str(row.not_charged_because)
    if amount_ucr < row.paid_ucr:
        return "refunded"
    return "credit_exhausted" if row.paid_ucr < row.amount_ucr else None
