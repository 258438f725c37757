"""What a poll asks the ResourceManager.

Five requests (/info, /apps twice, /nodes, /scheduler), and two or three for each running application.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from market.cluster.event_log import ExecutorLife
from market.cluster.resourcemanager import App, ResourceManager
from market.kit import database
from market.metering import store, unobserved
from market.metering.observations import Before, Poll, Seen
from market.metering.store import TaggedJob

Claims = Callable[[str, int], list[ExecutorLife]]
OPEN_STATES = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
_CANARY_MS = 600_000  # the market's own measurements are listed for a while after their end
_OVERLAP_MS = 10_000  # applications that came and went around the last poll are looked at again


def look(rm: ResourceManager, before: Before, at_ms: int, claims_of: Claims) -> Poll:
    """Return all that can be seen now, as if it were `at_ms`. Raises ClusterUnavailable.

    `claims_of` returns the executors of the event log of an application's attempt.
    """
    epoch_ms = int(rm.info()["startedOn"])
    since_ms = max(0, before.mark.at_ms - _OVERLAP_MS)
    apps = {app.application_id: app for app in rm.apps(started_after_ms=since_ms)}
    apps |= {app.application_id: app for app in rm.apps(states=OPEN_STATES)}
    with database.transaction() as cursor:
        for done in store.final_ones(cursor, apps):
            del apps[done]
        jobs = store.tagged_jobs(cursor, {tag for app in apps.values() for tag in app.tags})
        jobs |= store.tagged_jobs(cursor, {one.job_id for one in before.applications.values()})
        known = store.containers(cursor, {*apps, *before.applications})
        canaries = store.canaries(cursor, since_ms - _CANARY_MS)
    seen, unknown = [], []
    for application_id, app in apps.items():
        job = _job_of(app, jobs)
        if job is not None:
            seen.append(Seen(job, application_id, app, known.get(application_id, [])))
        elif not canaries.intersection(app.tags):
            unknown.append(app)
    for application_id, earlier in before.applications.items():
        if application_id not in apps:
            app_now = rm.app(application_id)
            seen.append(Seen(jobs[earlier.job_id], application_id, app_now, known.get(application_id, [])))
    for one in seen:
        _look_closer(rm, one, before)
        if unobserved.any_of(one, before, epoch_ms, at_ms):
            one.claims = claims_of(one.application_id, unobserved.last_attempt(one))
    # After the containers: a node that is lost in between would leave ones that seem to have ended well.
    nodes = {node.node_id: node for node in rm.nodes()}
    return Poll(at_ms, epoch_ms, nodes, rm.partitions(), seen, unknown)


def _job_of(app: App, jobs: Mapping[str, TaggedJob]) -> TaggedJob | None:
    """Return the job that an application runs for: a tag names it, and its owner runs it."""
    for tag in app.tags:
        job = jobs.get(tag)
        if job is not None and job.username == app.user:
            return job
    return None


def _look_closer(rm: ResourceManager, seen: Seen, before: Before) -> None:
    """Read an application's containers and, where they tell something new, its attempts."""
    app = seen.app
    if app is None:
        return
    # Of an application that waits nothing is asked: hundreds may do so for hours.
    if app.running_containers or (seen.vanished and not app.ended):
        seen.live = rm.containers(app.application_id)
        if seen.vanished and not app.ended:
            # It may have ended between the two answers: then its totals, not the poll, say when.
            seen.app = rm.app(app.application_id)
    known = {one.container_id for one in seen.known}
    is_new = any(container.container_id not in known for container in seen.live)
    earlier = before.applications.get(app.application_id)
    if is_new or (app.ended and earlier is not None):
        seen.attempts = rm.attempts(app.application_id)
