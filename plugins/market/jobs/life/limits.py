"""What a job may not exceed: its time, its wait, its size, its hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from market.cluster.resourcemanager import App
from market.jobs import points
from market.jobs.life import budget, status
from market.jobs.store import Job
from market.kit import database
from market.kit.clock import now_ms

# Looks in a row that must find too much: while an executor is replaced, YARN counts both for a moment.
_LOOKS = 5
_over: dict[str, int] = {}


def enforce(jobs: Sequence[Job], runs: Sequence[Job], active: Mapping[str, App]) -> None:
    """Ask for the end of every job, and of every run of one, that is over a limit.

    The watch kills it in the same pass. A job without a grid is its own run.
    """
    # Time first: a job that ran over it has used up its hold as well, because it was over its time.
    late = {run.tag: reason for run in runs if run.status != "cancelling" and (reason := _time(run))}
    for tag, reason in late.items():
        status.stop(tag, *reason)
    used = _used()
    idle = points.idle_since()
    for job in jobs:
        if job.status == "cancelling" or job.tag in late:
            continue
        reason = _wait(job, idle) or budget.over(job, used.get(job.job_id, 0))
        if reason:
            status.stop(job.tag, *reason)
    for run in runs:
        app = active.get(run.tag)
        if app and run.status != "cancelling" and run.tag not in late and (reason := _size(run, app)):
            status.stop(run.tag, *reason)


def _time(run: Job) -> tuple[str, str] | None:
    if run.status != "running" or run.started_ms is None:
        return None
    if now_ms() - run.started_ms > run.spec.max_duration * 1000:
        return "max_duration", f"stopped after max_duration, {run.spec.max_duration} s"
    return None


def _wait(job: Job, idle: Mapping[str, int]) -> tuple[str, str] | None:
    """Tell whether a job has waited too long: since its submission, a sweep since anything of it moved."""
    if job.spec.grid is None and job.status != "running":
        since_ms = job.added_ms
    elif job.job_id in idle:
        since_ms = idle[job.job_id]
    else:
        return None
    if now_ms() - since_ms <= job.spec.max_wait * 1000:
        return None
    return "no_capacity", f"no machine of the type {job.machine_type} came free in {job.spec.max_wait} s"


def _size(run: Job, app: App) -> tuple[str, str] | None:
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
