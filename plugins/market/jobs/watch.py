"""The watch over jobs: one look at the ResourceManager moves every job on, and stops what must not go on.

It runs in the triggerer while jobs wait there, and once a minute from the DAG `job_reconciler`; two at once
do no harm, since every change is guarded by the job's row.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from market import db
from market.clock import now_ms
from market.cluster.clients import resource_manager
from market.cluster.errors import ClusterUnavailable
from market.cluster.resourcemanager import TERMINAL, App, ResourceManager
from market.errors import MarketError
from market.jobs import diagnosis, limits, status, store
from market.jobs.store import Job

log = logging.getLogger(__name__)

_ACTIVE = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
# A ResourceManager that has just started may not have read all applications from its store yet.
_SETTLING_MS = 60_000


def look() -> set[str]:
    """Move all open jobs on; return the ids of those that are open after it.

    Raises ClusterUnavailable when the ResourceManager does not answer: nothing is known then.
    """
    jobs = store.open_jobs()
    yarn = resource_manager()
    active = {tag: app for app in yarn.apps(states=_ACTIVE) for tag in app.tags}
    limits.enforce(jobs, active)
    stopping = _stopping()
    for job in jobs:
        try:
            _one(yarn, job, active.get(job.job_id), job.job_id in stopping)
        except ClusterUnavailable:
            raise
        except MarketError as error:
            log.warning("job %s: %s", job.job_id, error.detail)
    _stop_strays(yarn, {job.job_id for job in jobs}, active)
    with db.transaction() as cursor:
        cursor.execute("SELECT job_id FROM job WHERE ended_ms IS NULL")
        return {row.job_id for row in cursor.fetchall()}


def _stopping() -> set[str]:
    with db.transaction() as cursor:
        cursor.execute("SELECT job_id FROM job WHERE ended_ms IS NULL AND status = 'cancelling'")
        return {row.job_id for row in cursor.fetchall()}


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
            status.end(job.job_id, found)
        return
    if stopping:
        yarn.kill(app.application_id)
    elif app.state == "RUNNING" and job.status != "running":  # most do: nothing is asked for them
        status.move(job.job_id, "running", app.application_id, _started_ms(yarn, app))
    elif app.state in ("ACCEPTED", "SUBMITTED") and job.status != "accepted":
        status.move(job.job_id, "accepted", app.application_id)


def _started_ms(yarn: ResourceManager, app: App) -> int | None:
    """Return when the driver's container started; asked for once, when a job begins to run."""
    attempts = yarn.attempts(app.application_id)
    return attempts[0].started_ms or None if attempts else None


def _forgotten(yarn: ResourceManager, job: Job) -> None:
    if now_ms() - int(yarn.info()["startedOn"]) < _SETTLING_MS:
        return
    reason = "The ResourceManager has forgotten this job's application; what the job paid is refunded."
    status.end(job.job_id, status.End("lost", "pool_failure", reason))


def _stop_strays(yarn: ResourceManager, open_ids: set[str], active: Mapping[str, App]) -> None:
    """Kill applications of jobs that have ended: a submission that came through after all."""
    strays = {tag: app for tag, app in active.items() if tag not in open_ids}
    if not strays:
        return
    with db.transaction() as cursor:
        cursor.execute(
            "SELECT job_id FROM job WHERE ended_ms IS NOT NULL AND job_id = ANY (%s)", [list(strays)]
        )
        ended = [row.job_id for row in cursor.fetchall()]
    for job_id in ended:
        log.warning("the application of the ended job %s is stopped", job_id)
        yarn.kill(strays[job_id].application_id)
