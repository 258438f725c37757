"""How far a running job is, and what it has cost by now."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from market.cluster.clients import spark_ui
from market.cluster.spark_ui import Progress
from market.jobs import runs
from market.jobs.runs import Run
from market.kit import database
from market.kit.clock import now_ms
from market.kit.money import format_credits

if TYPE_CHECKING:
    from market.jobs.store import Job

_WITH_DRIVER = ("running", "cancelling")
_MAX_SEEN = 1000

# What drivers said last, and when: a program's web server goes some seconds before its job has ended.
_seen: dict[str, tuple[Progress, int]] = {}


def progress(job: Job) -> dict[str, Any]:
    """Return the fields of ProgressSchema: what the driver says, else what it said last, else zeros.

    `updated_ms` is when it said so; `cost` what the job has used of its hold, also what is not captured yet;
    `estimated_end_ms` supposes that the tasks that are left take as long as those that are done, None where
    nothing is left or done; never after the time that the job may take.
    """
    found, at_ms = _look(job)
    return {
        "status": job.status,
        "application_id": None if job.spec.grid else job.application_id,
        "stages": [] if job.ended else [asdict(stage) for stage in found.stages],
        "tasks_done": found.tasks_done,
        "tasks_total": found.tasks_total,
        "executors": 0 if job.ended else found.executors,
        "cost": _cost(job.job_id),
        "updated_ms": at_ms,
        "estimated_end_ms": _estimate(job, found, at_ms),
    }


def _estimate(job: Job, found: Progress, at_ms: int | None) -> int | None:
    left = found.tasks_total - found.tasks_done
    if (
        job.status != "running"
        or job.started_ms is None
        or at_ms is None
        or left <= 0
        or not found.tasks_done
        or job.spec.grid is not None  # what its next points will need nobody knows
    ):
        return None
    guess_ms = at_ms + (at_ms - job.started_ms) * left // found.tasks_done
    return min(guess_ms, job.started_ms + job.spec.max_duration * 1000)


def _look(job: Job) -> tuple[Progress, int | None]:
    """Return how far a job's applications are together, and when the last of them said so.

    What none of them says any more is what the last one said.
    """
    begun = runs.with_application(job)
    found = [_look_at(run) for run in begun if run.status in _WITH_DRIVER] or list(map(_look_at, begun[-1:]))
    return (
        Progress(
            sum(one.tasks_done for one, _ in found),
            sum(one.tasks_total for one, _ in found),
            sum(one.executors for one, _ in found),
            tuple(stage for one, _ in found for stage in one.stages),
        ),
        max((at_ms for _, at_ms in found if at_ms is not None), default=None),
    )


def _look_at(run: Run) -> tuple[Progress, int | None]:
    application = run.application_id or ""
    if application and run.status in _WITH_DRIVER:
        found = spark_ui().progress(application)
        if found is not None:
            _seen.pop(application, None)
            _seen[application] = found, now_ms()
            while len(_seen) > _MAX_SEEN:
                _seen.pop(next(iter(_seen)), None)
    return _seen.get(application, (Progress(0, 0, 0, ()), None))


def _cost(job_id: str) -> str:
    """Return what a job has used of an open hold, else what was captured of it."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT least(coalesce(u.used_ucr, h.captured_ucr), h.amount_ucr) AS cost_ucr"
            " FROM hold h LEFT JOIN hold_usage u USING (job_id) WHERE h.job_id = %s",
            [job_id],
        )
        row = cursor.fetchone()
    return format_credits(row.cost_ucr if row else 0)
