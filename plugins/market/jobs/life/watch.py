"""The watch over jobs: one look at the ResourceManager moves every run on, and stops what must not go on.

It runs in the triggerer while jobs wait there, and once a minute from the DAG `job_reconciler`; two at once
do no harm, since every change is guarded by the job's row.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from market.cluster.clients import resource_manager
from market.cluster.errors import ClusterUnavailable
from market.cluster.resourcemanager import TERMINAL, App, ResourceManager
from market.jobs import runs, store
from market.jobs.life import diagnosis, limits, status
from market.jobs.life.state import End
from market.jobs.runs import Run
from market.kit.clock import now_ms
from market.kit.errors import MarketError

log = logging.getLogger(__name__)

_ACTIVE = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
# A ResourceManager that has just started may not have read all applications from its store yet.
_SETTLING_MS = 60_000


def look() -> set[str]:
    """Move all open runs on; return the tags of those that go on after it.

    Raises ClusterUnavailable when the ResourceManager does not answer: nothing is known then.
    """
    jobs = store.open_jobs()
    begun = runs.under_way(jobs)
    yarn = resource_manager()
    apps = yarn.apps(states=_ACTIVE)
    active = {tag: app for app in apps for tag in app.tags}
    limits.enforce(jobs, begun, active)
    stopping = runs.tags_under_way(stopping=True)
    for run in begun:
        try:
            _move_on(yarn, run, active.get(run.tag), run.tag in stopping)
        except ClusterUnavailable:
            raise
        except MarketError as error:
            log.warning("run %s: %s", run.tag, error.detail)
    _stop_strays(yarn, {run.tag for run in begun}, apps)
    return runs.tags_under_way()


def _move_on(yarn: ResourceManager, run: Run, app: App | None, stopping: bool) -> None:
    if app is None and run.application_id is not None:
        app = yarn.app(run.application_id)
        if app is None:
            _forgotten(yarn, run)
            return
    if app is None:
        return
    if app.state in TERMINAL:
        if end := diagnosis.of(yarn, run, app):
            status.end(run.tag, end)
        return
    if stopping:
        yarn.kill(app.application_id)
    elif app.state == "RUNNING" and run.status != "running":  # most do, and cost no request
        status.move(run.tag, "running", app.application_id, _started_ms(yarn, app))
    elif app.state in ("ACCEPTED", "SUBMITTED") and run.status != "accepted":
        status.move(run.tag, "accepted", app.application_id)


def _started_ms(yarn: ResourceManager, app: App) -> int | None:
    """Return when the driver's container started. It costs a request, once: when a run begins to run."""
    attempts = yarn.attempts(app.application_id)
    return attempts[0].started_ms or None if attempts else None


def _forgotten(yarn: ResourceManager, run: Run) -> None:
    if now_ms() - int(yarn.info()["startedOn"]) < _SETTLING_MS:
        return
    reason = "The ResourceManager has forgotten this job's application; what the job paid is refunded."
    status.end(run.tag, End("lost", "pool_failure", reason))


def _stop_strays(yarn: ResourceManager, begun: set[str], apps: Sequence[App]) -> None:
    """Kill applications of runs that have ended: a submission that came through after all."""
    others = [app for app in apps if begun.isdisjoint(app.tags)]
    if not others:
        return
    ended = runs.ended_of([tag for app in others for tag in app.tags])
    for app in others:
        if not ended.isdisjoint(app.tags):
            log.warning("%s of a run that has ended is stopped", app.application_id)
            yarn.kill(app.application_id)
