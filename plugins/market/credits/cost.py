"""What jobs have cost by now: what was used while their holds are open, else what was charged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from market.kit.database import Cursor

_COSTS = """
    SELECT h.job_id, least(coalesce(u.used_ucr, h.captured_ucr), h.amount_ucr) AS cost_ucr,
           settled_job(h) AS final
    FROM hold h
    LEFT JOIN (SELECT job_id, used_ucr FROM hold_usage WHERE job_id = ANY (%(jobs)s)) u USING (job_id)
    WHERE h.job_id = ANY (%(jobs)s)
"""


@dataclass(frozen=True)
class Cost:
    """What a job has cost, in micro-credits. Until it is final it is measured, and not all charged yet."""

    ucr: int = 0
    final: bool = False


def of_jobs(cursor: Cursor, job_ids: Iterable[str]) -> dict[str, Cost]:
    """Return the cost of each of these jobs that has a hold; never more than the hold."""
    cursor.execute(_COSTS, {"jobs": list(job_ids)})
    return {row.job_id: Cost(int(row.cost_ucr), row.final) for row in cursor.fetchall()}
