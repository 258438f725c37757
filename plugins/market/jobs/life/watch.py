"""The watch over jobs: one look at the ResourceManager moves every job on, and stops what must not go on.

It runs in the triggerer while jobs wait there, and once a minute from the DAG `job_reconciler`; two at once
do no harm, since every change is guarded by the job's row.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from market.cluster.clients import resource_manager
from market.cluster.errors import ClusterUnavailable
from market.cluster.resourcemanager import TERMINAL, App, ResourceManager
from market.jobs import points, store
from market.jobs.life import diagnosis, limits, status
from market.jobs.store import Job
from market.kit import database
from market.kit.clock import now_ms
from market.kit.errors import MarketError

log = logging.getLogger(__name__)

_ACTIVE = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
# A ResourceManager that has just started may not have read all applications from its store yet.
_SETTLING_MS = 60_000
_JOB = re.compile(r"[0-9a-f]{32}")


def look() -> set[str]:
    """Move all open jobs on; return the tags of the runs that go on after it.

    Raises ClusterUnavailable when the ResourceManager does not answer: nothing is known then.
    """
    jobs = store.open_jobs()
    runs = _runs(jobs)
    yarn = resource_manager()
    active = {tag: app for app in yarn.apps(states=_ACTIVE) for tag in app.tags}
    limits.enforce(jobs, runs, active)
    stopping = _stopping()
    for run in runs:
        try:
            _one(yarn, run, active.get(run.tag), run.tag in stopping)
        except ClusterUnavailable:
            raise
        except MarketError as error:
            log.warning("job %s: %s", run.tag, error.detail)
    _stop_strays(yarn, {run.tag for run in runs}, active)
    return _going_on()


def _runs(jobs: list[Job]) -> list[Job]:
    """Return what may have an application each: jobs, and the points of sweeps that were begun."""
    found = [job for job in jobs if job.spec.grid is None]
    if len(found) < len(jobs):
        of_job = points.open_ones()
        for job in jobs:
            found += [job.run_of(point) for point in of_job.get(job.job_id, []) if point.status != "waiting"]
    return found


def _stopping() -> set[str]:
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id::text AS tag FROM job WHERE ended_ms IS NULL AND status = 'cancelling' UNION ALL"
            " SELECT job_id || '-' || point FROM job_point WHERE ended_ms IS NULL AND status = 'cancelling'"
        )
        return {row.tag for row in cursor.fetchall()}


def _going_on() -> set[str]:
    with database.transaction() as cursor:
        cursor.execute("SELECT job_id FROM job WHERE ended_ms IS NULL")
        jobs = {row.job_id for row in cursor.fetchall()}
    return jobs | points.under_way()


def _one(yarn: ResourceManager, job: Job, app: App | None, stopping: bool) -> None:
    if app is None and job.application_id is not None:
        app = yarn.app(job.application_id)
        if app is None:
            _forgotten(yarn, job)
            return
    if app is None:
        return
    if app.state in TERMINAL:
        if found := diagnosis.of(yarn, job, app):
            status.end(job.tag, found)
        return
    if stopping:
        yarn.kill(app.application_id)
    elif app.state == "RUNNING" and job.status != "running":  # most do: nothing is asked for them
        status.move(job.tag, "running", app.application_id, _started_ms(yarn, app))
    elif app.state in ("ACCEPTED", "SUBMITTED") and job.status != "accepted":
        status.move(job.tag, "accepted", app.application_id)


def _started_ms(yarn: ResourceManager, app: App) -> int | None:
    """Return when the driver's container started; asked for once, when a job begins to run."""
    attempts = yarn.attempts(app.application_id)
    return attempts[0].started_ms or None if attempts else None


def _forgotten(yarn: ResourceManager, job: Job) -> None:
    if now_ms() - int(yarn.info()["startedOn"]) < _SETTLING_MS:
        return
    reason = "The ResourceManager has forgotten this job's application; what the job paid is refunded."
    status.end(job.tag, status.End("lost", "pool_failure", reason))


def _stop_strays(yarn: ResourceManager, going_on: set[str], active: Mapping[str, App]) -> None:
    """Kill applications of runs that have ended: a submission that came through after all."""
    strays = {tag: app for tag, app in active.items() if tag not in going_on}
    if not strays:
        return
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id::text AS tag FROM job WHERE ended_ms IS NOT NULL AND job_id = ANY (%s) UNION ALL"
            " SELECT p.tag FROM job_point, LATERAL (SELECT job_id || '-' || point AS tag) p"
            " WHERE ended_ms IS NOT NULL AND p.tag = ANY (%s)",
            [[tag for tag in strays if _JOB.fullmatch(tag)], list(strays)],
        )
        ended = [row.tag for row in cursor.fetchall()]
    for tag in ended:
        log.warning("the application of the ended run %s is stopped", tag)
        yarn.kill(strays[tag].application_id)
