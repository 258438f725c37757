"""What a job may not exceed: its time, its wait, its size, its hold."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from market.cluster.resourcemanager import App
from market.jobs import runs
from market.jobs.life import budget, status
from market.jobs.runs import Run
from market.jobs.store import Job
from market.kit import clock_steps, database, isolation
from market.kit.clock import now_ms
from market.kit.clock_steps import Steps

# For how long every look must find too much: while an executor is replaced, YARN counts both for a moment.
OVER_S = 5.0
# Looks that are further apart than this know nothing of the time between them.
_LOOKS_APART_S = 10.0


@dataclass
class _Over:
    """Since when a run has held too much, and when that was last seen, on the monotonic clock."""

    since_s: float
    last_s: float


_over: dict[str, _Over] = {}


def enforce(jobs: Sequence[Job], begun: Sequence[Run], active: Mapping[str, App]) -> None:
    """Ask for the end of every job, and of every run that was begun, that is over a limit.

    The watch kills it in the same pass.
    """
    # The time is checked before the hold. A job that ran too long has often used up its hold, too, and the
    # reason that its owner is told should be the time.
    late: set[str] = set()
    steps = clock_steps.look()
    for tag in _over.keys() - {run.tag for run in begun}:
        _over.pop(tag, None)  # another look, in another thread, may have been first

    def of_run(run: Run) -> None:
        if run.status != "cancelling" and (reason := _time(run, steps) or _size(run, active.get(run.tag))):
            status.stop_run(run.tag, *reason)
            late.add(run.job_id)

    isolation.each("limits of runs", begun, of_run, lambda run: run.tag)
    used = _used()
    idle = runs.idle_since()

    def of_job(job: Job) -> None:
        if job.status == "cancelling" or job.job_id in late:
            return
        used_ucr = _without_steps(job, used.get(job.job_id, 0), steps)
        reason = _wait(job, idle, steps) or budget.over(job, used_ucr)
        if reason:
            status.stop_job(job.job_id, *reason)

    isolation.each("limits of jobs", jobs, of_job, lambda job: job.job_id)


def _time(run: Run, steps: Steps) -> tuple[str, str] | None:
    if run.status != "running" or run.started_ms is None:
        return None
    if steps.passed_ms(run.started_ms, now_ms()) > run.spec.max_duration * 1000:
        return "max_duration", f"stopped after max_duration, {run.spec.max_duration} s"
    return None


def _without_steps(job: Job, used_ucr: int, steps: Steps) -> int:
    """Return what a job has used without the steps of the clock: the same part of it as of its time."""
    if job.started_ms is None:
        return used_ucr
    now = now_ms()
    passed_ms = steps.passed_ms(job.started_ms, now)
    return used_ucr * passed_ms // (now - job.started_ms) if passed_ms < now - job.started_ms else used_ucr


def _wait(job: Job, idle: Mapping[str, int], steps: Steps) -> tuple[str, str] | None:
    """Tell whether a job has waited too long: since anything of it moved, with nothing that runs."""
    since_ms = idle.get(job.job_id)
    if since_ms is None or steps.passed_ms(since_ms, now_ms()) <= job.spec.max_wait * 1000:
        return None
    return "no_capacity", f"no machine of the type {job.machine_type} came free in {job.spec.max_wait} s"


def _size(run: Run, app: App | None) -> tuple[str, str] | None:
    if app is None:
        return None
    containers = run.spec.containers
    vcores, mib = sum(size[0] for size in containers), sum(size[1] for size in containers)
    if app.allocated_vcores <= vcores and app.allocated_mib <= mib:
        _over.pop(run.tag, None)
        return None
    now_s = time.monotonic()
    seen = _over.setdefault(run.tag, _Over(now_s, now_s))
    if now_s - seen.last_s > _LOOKS_APART_S:
        seen.since_s = now_s
    seen.last_s = now_s
    if now_s - seen.since_s < OVER_S:
        return None
    _over.pop(run.tag, None)
    return "over_size", (
        f"stopped because it held {app.allocated_vcores} cores and {app.allocated_mib} MiB; "
        f"quoted were {vcores} and {mib}"
    )


def _used() -> dict[str, int]:
    """Return what each open hold's containers have cost until they were last seen, in micro-credits."""
    with database.transaction() as cursor:
        cursor.execute("SELECT job_id, used_ucr FROM hold_usage")
        return {row.job_id: row.used_ucr for row in cursor.fetchall()}
