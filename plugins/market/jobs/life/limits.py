"""What a job may not exceed: its time, its wait, its size, its hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from market.cluster.resourcemanager import App
from market.jobs import runs
from market.jobs.life import budget, status
from market.jobs.runs import Run
from market.jobs.store import Job
from market.kit import database
from market.kit.clock import now_ms

# How many looks in a row must find too much: while an executor is replaced, YARN counts both for a moment.
_LOOKS = 5
_over: dict[str, int] = {}


def enforce(jobs: Sequence[Job], begun: Sequence[Run], active: Mapping[str, App]) -> None:
    """Ask for the end of every job, and of every run that was begun, that is over a limit.

    The watch kills it in the same pass.
    """
    # The time is checked before the hold. A job that ran too long has often used up its hold, too, and the
    # reason that its owner is told should be the time.
    late: set[str] = set()
    for run in begun:
        if run.status != "cancelling" and (reason := _time(run) or _size(run, active.get(run.tag))):
            status.stop_run(run.tag, *reason)
            late.add(run.job_id)
    used = _used()
    idle = runs.idle_since()
    for job in jobs:
        if job.status == "cancelling" or job.job_id in late:
            continue
        reason = _wait(job, idle) or budget.over(job, used.get(job.job_id, 0))
        if reason:
            status.stop_job(job.job_id, *reason)


def _time(run: Run) -> tuple[str, str] | None:
    if run.status != "running" or run.started_ms is None:
        return None
    if now_ms() - run.started_ms > run.spec.max_duration * 1000:
        return "max_duration", f"stopped after max_duration, {run.spec.max_duration} s"
    return None


def _wait(job: Job, idle: Mapping[str, int]) -> tuple[str, str] | None:
    """Tell whether a job has waited too long: since anything of it moved, with nothing that runs."""
    since_ms = idle.get(job.job_id)
    if since_ms is None or now_ms() - since_ms <= job.spec.max_wait * 1000:
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
    _over[run.tag] = _over.get(run.tag, 0) + 1
    if _over[run.tag] < _LOOKS:
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
