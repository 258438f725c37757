"""How far a running job is, and what it has cost by now."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from market.cluster.clients import spark_ui
from market.cluster.spark_ui import Progress
from market.credits import cost as costs
from market.jobs import runs
from market.jobs.runs import Run
from market.kit import database
from market.kit.clock import now_ms
from market.kit.money import format_credits

if TYPE_CHECKING:
    from market.jobs.store import Job

_WITH_DRIVER = ("running", "cancelling")
_MAX_SEEN = 1000
# For the drivers of all points of a sweep together.
_PATIENCE_S = 6.0
# The ResourceManager's proxy goes on waiting for a driver when nobody waits for the proxy any more: each time
# with a thread. So a driver that lets one wait for so long is asked again later and later.
_SLOW_S = 3.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 10.0, 3600.0

T = TypeVar("T")

# Each driver's last answer, and when: a program's web server ends some seconds before its job does.
_last_seen: dict[str, tuple[Progress, int]] = {}
# Drivers that let a question wait: until when they are not asked again, and how long that is, in seconds.
_slow: dict[str, tuple[float, float]] = {}


def progress(job: Job) -> dict[str, Any]:
    """Return the fields of ProgressSchema: what the driver answers, else its last answer, else zeros.

    `updated_ms` is the time of that answer. `cost` is what the job has used of its hold, also what is not
    captured yet; `cost_final` tells whether that stays. `estimated_end_ms` supposes that the tasks that are
    left take as long as those that are done: None where none is left or none is done, and never later than
    the job may run.
    """
    answer, at_ms = _look(job)
    with database.transaction() as cursor:
        cost = costs.of_jobs(cursor, [job.job_id]).get(job.job_id, costs.Cost())
    return {
        "status": job.status,
        "application_id": None if job.spec.grid else job.application_id,
        "stages": [] if job.ended else [asdict(stage) for stage in answer.stages],
        "tasks_done": answer.tasks_done,
        "tasks_total": answer.tasks_total,
        "executors": 0 if job.ended else answer.executors,
        "cost": format_credits(cost.ucr),
        "cost_final": cost.final,
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
    until = time.monotonic() + _PATIENCE_S
    answers = [_look_at(run, until) for run in begun if run.status in _WITH_DRIVER] or [
        _look_at(run, until) for run in begun[-1:]
    ]
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


def _look_at(run: Run, until: float) -> tuple[Progress, int | None]:
    application = run.application_id or ""
    if application and run.status in _WITH_DRIVER and time.monotonic() < until and not _is_slow(application):
        began = time.monotonic()
        answer = spark_ui().progress(application)
        if answer is not None:
            _keep(_last_seen, application, (answer, now_ms()))
        if time.monotonic() - began <= _SLOW_S:
            _slow.pop(application, None)
        else:
            _, wait_s = _slow.get(application, (0.0, _FIRST_WAIT_S / 2))
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            _keep(_slow, application, (time.monotonic() + wait_s, wait_s))
    return _last_seen.get(application, (Progress(0, 0, 0, ()), None))


def _is_slow(application: str) -> bool:
    """Tell whether a driver let the last question wait, and is not asked again yet."""
    return time.monotonic() < _slow.get(application, (0.0, 0.0))[0]


def _keep(kept: dict[str, T], application: str, value: T) -> None:
    kept.pop(application, None)
    kept[application] = value
    while len(kept) > _MAX_SEEN:
        kept.pop(next(iter(kept)), None)
