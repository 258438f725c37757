"""The watch over jobs: one look at the ResourceManager moves every run on, and stops what must not go on.

It runs in the triggerer while jobs wait there, and once a minute from the DAG `job_reconciler`; two at once
do no harm, since every change is guarded by the job's row.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from market.cluster.clients import ended_applications, resource_manager
from market.cluster.errors import ClusterUnavailable
from market.cluster.resourcemanager import TERMINAL, App, ResourceManager
from market.jobs import runs, store
from market.jobs.life import diagnosis, limits, status
from market.jobs.life.state import End
from market.jobs.runs import Run
from market.kit import deadlines, isolation, settings
from market.kit.clock import now_ms

log = logging.getLogger(__name__)

_ACTIVE = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")


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
    summaries = _Summaries(run.application_id for run in begun if run.tag not in active)
    isolation.each(
        "moving runs on",
        begun,
        lambda run: _move_on(yarn, run, active.get(run.tag), summaries, run.tag in stopping),
        lambda run: run.tag,
        ends=(ClusterUnavailable,),
    )
    _stop_strays(yarn, {run.tag for run in begun}, apps)
    return runs.tags_under_way()


class _Summaries:
    """What has ended of some applications, by the ResourceManager's own file; read once, if need be."""

    def __init__(self, application_ids: Iterable[str | None]) -> None:
        self._ids = [application_id for application_id in application_ids if application_id]
        self._found: dict[str, App] | None = None

    def of(self, application_id: str) -> App | None:
        """Return an application that has ended."""
        if self._found is None:
            self._found = ended_applications().by_id(self._ids)
        return self._found.get(application_id)


def _move_on(yarn: ResourceManager, run: Run, app: App | None, summaries: _Summaries, stopping: bool) -> None:
    if app is None and run.application_id is not None:
        app = yarn.app(run.application_id) or summaries.of(run.application_id)
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
    elif run.status == "running":
        return
    elif app.running_containers or app.state == "RUNNING":  # most run already, and cost no request
        # The driver's container is there. YARN calls the application running when the program has made its
        # session, which may be much later, or never; its time and its cost have begun.
        status.move(run.tag, "running", app.application_id, _started_ms(yarn, app))
    elif app.state in ("ACCEPTED", "SUBMITTED") and run.status != "accepted":
        status.move(run.tag, "accepted", app.application_id)


def _started_ms(yarn: ResourceManager, app: App) -> int | None:
    """Return when the driver's container started. It costs two requests, once: when a run begins to run.

    An attempt starts when it begins to wait for its container, which is long before where there is no room.
    """
    return min(
        (live.started_ms for live in yarn.containers(app.application_id) if live.started_ms), default=None
    )


def _forgotten(yarn: ResourceManager, run: Run) -> None:
    """End a run of whose application a settled ResourceManager knows nothing, nor that it has ended."""
    # One that has just started may not have read all applications from its store yet. What has started long
    # from now did so before the clock stepped back.
    if abs(now_ms() - int(yarn.info()["startedOn"])) < deadlines.RECOVERY.ms(settings.load()):
        return
    reason = "The ResourceManager has forgotten this job's application; what the job paid is given back."
    status.end(run.tag, End("lost", "pool_failure", reason))


def _stop_strays(yarn: ResourceManager, begun: set[str], apps: Sequence[App]) -> None:
    """Kill applications of runs that have ended: a submission that came through after all."""
    others = [app for app in apps if begun.isdisjoint(app.tags)]
    if not others:
        return
    ended = runs.ended_of([tag for app in others for tag in app.tags])

    def stop(app: App) -> None:
        log.warning("%s of a run that has ended is stopped", app.application_id)
        yarn.kill(app.application_id)

    strays = [app for app in others if not ended.isdisjoint(app.tags)]
    isolation.each(
        "stopping strays", strays, stop, lambda app: app.application_id, ends=(ClusterUnavailable,)
    )
