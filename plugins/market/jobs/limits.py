"""What a job may not exceed: its time, its wait, its size, its hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from market import db
from market.clock import now_ms
from market.cluster.resourcemanager import App
from market.jobs import budget, status
from market.jobs.store import Job

# Looks in a row that must find too much: while an executor is replaced, YARN counts both for a moment.
_LOOKS = 5
_over: dict[str, int] = {}


def enforce(jobs: Iterable[Job], active: Mapping[str, App]) -> None:
    """Ask for the end of every job that is over a limit; the watch kills it in the same pass."""
    used = _used()
    for job in jobs:
        if job.status == "cancelling":
            continue
        app = active.get(job.job_id)
        reason = _time(job) or budget.over(job, used.get(job.job_id, 0)) or (_size(job, app) if app else None)
        if reason:
            status.stop(job.job_id, *reason)


def _time(job: Job) -> tuple[str, str] | None:
    now = now_ms()
    if job.status == "running" and job.started_ms is not None:
        if now - job.started_ms > job.spec.max_duration * 1000:
            return "max_duration", f"stopped after max_duration, {job.spec.max_duration} s"
    elif now - job.added_ms > job.spec.max_wait * 1000:
        said = f"no machine of the type {job.machine_type} came free in {job.spec.max_wait} s"
        return "no_capacity", said
    return None


def _size(job: Job, app: App) -> tuple[str, str] | None:
    containers = job.spec.containers
    vcores, mib = sum(size[0] for size in containers), sum(size[1] for size in containers)
    if app.allocated_vcores <= vcores and app.allocated_mib <= mib:
        _over.pop(job.job_id, None)
        return None
    _over[job.job_id] = _over.get(job.job_id, 0) + 1
    if _over[job.job_id] < _LOOKS:
        return None
    _over.pop(job.job_id, None)
    return "over_size", (
        f"stopped because it held {app.allocated_vcores} cores and {app.allocated_mib} MiB; "
        f"quoted were {vcores} and {mib}"
    )


def _used() -> dict[str, int]:
    """Return what each open hold's containers have cost until they were last seen, in micro-credits."""
    with db.transaction() as cursor:
        cursor.execute("SELECT job_id, used_ucr FROM hold_usage")
        return {row.job_id: row.used_ucr for row in cursor.fetchall()}
