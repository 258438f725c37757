"""A poll: what is asked of the ResourceManager.

Five requests (/info, /apps twice, /nodes, /scheduler), and two or three for each running application.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from market.cluster.errors import ClusterUnavailable
from market.cluster.event_log import ExecutorLife
from market.cluster.resourcemanager import App, ResourceManager
from market.kit import database, isolation
from market.metering import queries, strangers, unobserved
from market.metering.observations import Before, Observation, Poll
from market.metering.queries import TaggedJob

Claims = Callable[[TaggedJob, str, int], list[ExecutorLife]]
OPEN_STATES = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
# Event logs are programs' own, and as large as they like, within a bound: those that a poll cannot read in
# this time are left to the next one.
LOGS_S = 3.0
_OVERLAP_MS = 10_000  # applications that came and went around the last poll are read again


def poll(rm: ResourceManager, before: Before, at_ms: int, claims_of: Claims) -> Poll:
    """Return all that can be observed now, as if it were `at_ms`. Raises ClusterUnavailable.

    `claims_of` returns the executors of the event log of an application's attempt.
    """
    epoch_ms = int(rm.info()["startedOn"])
    since_ms = max(0, min(before.mark.at_ms, at_ms) - _OVERLAP_MS)
    apps = {app.application_id: app for app in rm.apps(started_after_ms=since_ms)}
    apps |= {app.application_id: app for app in rm.apps(states=OPEN_STATES)}
    with database.transaction() as cursor:
        for application_id in queries.final_applications(cursor, apps):
            del apps[application_id]
        jobs = queries.tagged_jobs(cursor, {tag for app in apps.values() for tag in app.tags})
        jobs |= queries.tagged_jobs(cursor, {earlier.job_id for earlier in before.applications.values()})
        known = queries.containers(cursor, {*apps, *before.applications})
        unknown = strangers.among(apps.values(), strangers.known(cursor, apps.values(), at_ms))
    observations = []
    strange = {app.application_id for app in unknown}
    for application_id, app in apps.items():
        job = _job_of(app, jobs)
        # What was taken for a job's until now is charged to its end.
        if job is not None and (application_id not in strange or application_id in before.applications):
            observations.append(Observation(job, application_id, app, known.get(application_id, [])))
    for application_id, earlier in before.applications.items():
        if application_id not in apps:
            job, app_now = jobs[earlier.job_id], rm.app(application_id)
            observations.append(Observation(job, application_id, app_now, known.get(application_id, [])))
    read: list[Observation] = []
    logs_until = time.monotonic() + LOGS_S

    def look(observation: Observation) -> None:
        _read_containers(rm, observation, before)
        if unobserved.any_of(observation, before, epoch_ms, at_ms):
            observation.waits = time.monotonic() > logs_until
            if not observation.waits:
                attempt = unobserved.last_attempt(observation)
                observation.claims = claims_of(observation.job, observation.application_id, attempt)
        read.append(observation)

    isolation.each(
        "reading applications",
        observations,
        look,
        lambda seen: seen.application_id,
        ends=(ClusterUnavailable,),
    )
    # After the containers: a node that is lost in between would leave ones that seem to have ended well.
    nodes = {node.node_id: node for node in rm.nodes()}
    return Poll(at_ms, epoch_ms, nodes, rm.partitions(), read, unknown)


def _job_of(app: App, jobs: Mapping[str, TaggedJob]) -> TaggedJob | None:
    """Return the job that an application runs for: a tag names it, and its owner runs it."""
    for tag in app.tags:
        job = jobs.get(tag)
        if job is not None and job.username == app.user:
            return job
    return None


def _read_containers(rm: ResourceManager, observation: Observation, before: Before) -> None:
    """Read an application's live containers and, where these are new or the last, its attempts."""
    app = observation.app
    if app is None:
        return
    # An application that waits costs no request: hundreds may wait for hours.
    if app.running_containers or (observation.vanished and not app.ended):
        observation.live = rm.containers(app.application_id)
        if observation.vanished and not app.ended:
            # It may have ended between the two answers: then its totals, not the poll, say when.
            observation.app = rm.app(app.application_id)
    known = {container.container_id for container in observation.known}
    is_new = any(container.container_id not in known for container in observation.live)
    earlier = before.applications.get(app.application_id)
    if is_new or (app.ended and earlier is not None):
        observation.attempts = rm.attempts(app.application_id)
