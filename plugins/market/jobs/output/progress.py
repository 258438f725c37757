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

# Each driver's last answer, and when: a program's web server ends some seconds before its job does.
_last_seen: dict[str, tuple[Progress, int]] = {}


def progress(job: Job) -> dict[str, Any]:
    """Return the fields of ProgressSchema: what the driver answers, else its last answer, else zeros.

    `updated_ms` is the time of that answer. `cost` is what the job has used of its hold, also what is not
    captured yet. `estimated_end_ms` supposes that the tasks that are left take as long as those that are
    done: None where none is left or none is done, and never later than the job may run.
    """
    answer, at_ms = _look(job)
    return {
        "status": job.status,
        "application_id": None if job.spec.grid else job.application_id,
        "stages": [] if job.ended else [asdict(stage) for stage in answer.stages],
        "tasks_done": answer.tasks_done,
        "tasks_total": answer.tasks_total,
        "executors": 0 if job.ended else answer.executors,
        "cost": _cost(job.job_id),
        "updated_ms": at_ms,
        "estimated_end_ms": _estimate(job, answer, at_ms),
    }


def _estimate(job: Job, progress: Progress, at_ms: int | None) -> int | None:
    left = progress.tasks_total - progress.tasks_done
    if (
        job.status != "running"
        or job.started_ms is None
        or at_ms is None
        or left <= 0
        or not progress.tasks_done
        or job.spec.grid is not None  # what its next points will need nobody knows
    ):
        return None
    guess_ms = at_ms + (at_ms - job.started_ms) * left // progress.tasks_done
    return min(guess_ms, job.started_ms + job.spec.max_duration * 1000)


def _look(job: Job) -> tuple[Progress, int | None]:
    """Return how far a job's applications are together, and when the last of them answered.

    When no driver runs any more, it is the last answer of the last application.
    """
    begun = runs.with_application(job)
    answers = [_look_at(run) for run in begun if run.status in _WITH_DRIVER] or list(
        map(_look_at, begun[-1:])
    )
    parts = [part for part, _ in answers]
    return (
        Progress(
            sum(part.tasks_done for part in parts),
            sum(part.tasks_total for part in parts),
            sum(part.executors for part in parts),
            tuple(stage for part in parts for stage in part.stages),
        ),
        max((at_ms for _, at_ms in answers if at_ms is not None), default=None),
    )


def _look_at(run: Run) -> tuple[Progress, int | None]:
    application = run.application_id or ""
    if application and run.status in _WITH_DRIVER:
        answer = spark_ui().progress(application)
        if answer is not None:
            _last_seen.pop(application, None)
            _last_seen[application] = answer, now_ms()
            while len(_last_seen) > _MAX_SEEN:
                _last_seen.pop(next(iter(_last_seen)), None)
    return _last_seen.get(application, (Progress(0, 0, 0, ()), None))


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
