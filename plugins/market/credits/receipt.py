"""A job's receipt: what each container held, and what it cost. Every amount follows from its line.

    amount = floor(rate x (weight x vcores + GiB weight x MiB / 1024) x seconds / 3600), in micro-credits

and `rounding` is what the floor drops. A line that paid less says why in `not_charged_because`.
"""

from __future__ import annotations

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
           r.job_id IS NOT NULL AS refunded,
           (SELECT point FROM run JOIN job_point p USING (job_id, point)
            WHERE run.application_id = c.application_id AND p.params <> '{}') AS point
    FROM container_usage c
    LEFT JOIN LATERAL (SELECT l.charged_ms, l.amount_ucr, k.total_ucr
                       FROM usage_line l JOIN charge k USING (container_id, interval_id)
                       WHERE l.container_id = c.container_id
                       ORDER BY l.interval_id DESC LIMIT 1) u ON true
    LEFT JOIN refund r ON r.job_id = c.job_id AND r.attempt = c.attempt
    WHERE c.job_id = %s
    ORDER BY c.start_ms, c.container_id
"""
_HOLD = """
    SELECT h.rate_micro, h.weight_micro, h.gib_weight_micro, settled_job(h) AS final
    FROM hold h WHERE h.job_id = %s
"""
_GIVEN_BACK = """
    SELECT j.at_ms, t.amount_ucr, j.note FROM journal j JOIN transfer t USING (journal_id)
    WHERE j.job_id = %s AND j.kind = 'refund' AND j.interval_id IS NULL
    ORDER BY j.at_ms, j.journal_id
"""


def receipt(cursor: Cursor, job_id: str) -> dict[str, Any]:
    """Return what a job cost so far: `job_id, rate, gib_weight, charge, final, containers, refunds`.

    `charge` is the sum of the containers' amounts. It is also what settlements posted for the job, what they
    captured less what they refunded. Refunds by administrators are not in it: they stand in `refunds`.
    Raises NotFoundError if the job has no hold.
    """
    cursor.execute(_HOLD, [job_id])
    hold = cursor.fetchone()
    if hold is None:
        raise NotFoundError("There is no such job.")
    cursor.execute(_LINES, [job_id])
    rows = cursor.fetchall()
    cursor.execute(_GIVEN_BACK, [job_id])
    given_back = cursor.fetchall()
    return {
        "job_id": job_id,
        "rate": format_credits(hold.rate_micro),
        "gib_weight": format_credits(hold.gib_weight_micro),
        "charge": format_credits(sum(_amount(row) for row in rows)),
        "final": hold.final,
        "containers": [_line(row, hold) for row in rows],
        "refunds": [
            {"at": row.at_ms, "amount": format_credits(row.amount_ucr), "reason": row.note}
            for row in given_back
        ],
    }


def _line(row: Any, hold: Any) -> dict[str, Any]:
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
        "amount": format_credits(_amount(row)),
        "rounding": f"{Decimal(dropped.numerator) / Decimal(dropped.denominator):.6f}",
        "not_charged_because": _reason(row),
    }


def _amount(row: Any) -> int:
    return 0 if row.refunded else int(row.paid_ucr)


def _reason(row: Any) -> str | None:
    """Return why a line paid less than its container's time would cost."""
    if row.not_charged_because is not None:
        return str(row.not_charged_because)
    if row.refunded:
        return "refunded"
    return "credit_exhausted" if row.paid_ucr < row.amount_ucr else None
