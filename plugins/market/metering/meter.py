"""The meter: one poll of the ResourceManager after the other, each written in one transaction.

Whatever is written is true at the moment before the first request: a container that started or
ended during a poll is left to the next.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from market.cluster.clients import hdfs, resource_manager
from market.cluster.event_log import ExecutorLife, executor_lives
from market.cluster.resourcemanager import App, Node, ResourceManager
from market.kit import clock, database, settings
from market.kit.database import Cursor
from market.kit.errors import MarketError
from market.kit.vocabulary import KILLED
from market.metering import changes, polling, queries, unobserved
from market.metering.observations import RECOVERY_MS, Before, Observation, Poll
from market.metering.polling import Claims
from market.metering.queries import Mark
from market.metering.usage import (
    Ending,
    KnownApplication,
    endings_of_ended,
    endings_while_running,
    new_container,
)

log = logging.getLogger(__name__)

_SAMPLE_MS = 10_000
_SAMPLES_KEPT_MS = 3 * 86_400_000


def run_pass() -> None:
    """Poll once and write it. Raises ClusterUnavailable when the ResourceManager does not answer."""
    poll_once(resource_manager(), claims_of=_logged)


def poll_once(rm: ResourceManager, at_ms: int | None = None, claims_of: Claims = lambda _, __: []) -> bool:
    """Poll once, as if it were `at_ms`; tell whether it was written (False: a later poll was first).

    `claims_of` returns the executors of an application's event log.
    """
    at = clock.now_ms() if at_ms is None else at_ms
    with database.transaction() as cursor:
        before = Before(
            queries.mark(cursor),
            queries.open_applications(cursor),
            queries.machines(cursor, settings.load().machines.verify),
            queries.last_sample_ms(cursor),
        )
    poll = polling.poll(rm, before, at, claims_of)
    with database.transaction() as cursor:
        # The mark's row is the lock between two meters, and what they are ordered by.
        if not changes.save_mark(cursor, Mark(at, poll.epoch_ms)):
            return False
        for observation in poll.observations:
            _write(cursor, observation, poll, before)
        _write_machines(cursor, poll, before)
        for app in poll.unknown:
            detail = (
                f"{app.name} of {app.user}: its tags {', '.join(app.tags) or '(none)'} name no job of his"
            )
            changes.warn(cursor, "unknown_application", app.application_id, detail, at)
    return True


def _write(cursor: Cursor, observation: Observation, poll: Poll, before: Before) -> None:
    earlier = before.applications.get(observation.application_id)
    app, job_id = observation.app, observation.job.job_id
    if app is None:
        _write_forgotten(cursor, observation, poll, earlier)
        return
    observation.place = queries.place_of(cursor, observation.application_id, job_id)
    _write_live(cursor, observation, app, poll, before)
    if not app.ended:
        changes.save_application(cursor, app, job_id, poll.epoch_ms, poll.at_ms)
        if not poll.recovering:
            endings = endings_while_running(
                observation.vanished, poll.nodes, _preempted(app, earlier, poll), poll.at_ms
            )
            changes.save_endings(cursor, endings)
        return
    changes.save_gone(cursor, [container.container_id for container in observation.vanished], poll.at_ms)
    if earlier is None or not earlier.is_final(app, poll.at_ms):
        if earlier is None or _moved(app, earlier):
            changes.save_application(cursor, app, job_id, poll.epoch_ms, poll.at_ms)
        return
    _write_final(cursor, observation, app, poll, before)


def _write_live(cursor: Cursor, observation: Observation, app: App, poll: Poll, before: Before) -> None:
    known = {container.container_id for container in observation.known}
    rows = [
        new_container(
            container,
            observation.job.job_id,
            app.application_id,
            observation.drivers,
            before.machines.get(container.node_id),
            poll.at_ms,
        )
        for container in observation.live
        if container.container_id not in known
    ]
    changes.save_containers(cursor, rows, observation.place)
    still_live = [container.container_id for container in observation.live if container.container_id in known]
    changes.save_live(cursor, still_live, poll.at_ms)


def _moved(app: App, earlier: KnownApplication) -> bool:
    """Tell whether an ended application is read differently than before: the wait for its end starts anew."""
    return (
        earlier.state != app.state
        or app.running_containers > 0
        or app.memory_seconds > earlier.memory_mib_seconds
        or app.vcore_seconds > earlier.vcore_seconds
    )


def _preempted(app: App, earlier: KnownApplication | None, poll: Poll) -> int:
    """Return by how many MiB-seconds the preemption counter rose; a restarted ResourceManager's is wrong."""
    if earlier is None or earlier.epoch_ms != poll.epoch_ms or app.started_ms < poll.epoch_ms:
        return 0
    return max(0, app.preempted_memory_seconds - earlier.preempted_memory_mib_seconds)


def _write_final(cursor: Cursor, observation: Observation, app: App, poll: Poll, before: Before) -> None:
    missed = unobserved.drivers(observation, app, before)
    changes.save_containers(cursor, missed, observation.place)
    containers = queries.containers(cursor, [app.application_id]).get(app.application_id, [])
    ends = {attempt.container_id: attempt.finished_ms for attempt in observation.attempts}
    endings = endings_of_ended(containers, app, poll.epoch_ms, poll.nodes, ends, poll.at_ms)
    changes.save_endings(cursor, endings)
    unobserved.add_executors(cursor, observation, app, containers, endings)
    changes.save_final(cursor, [app.application_id], poll.at_ms)


def _write_forgotten(
    cursor: Cursor, observation: Observation, poll: Poll, earlier: KnownApplication | None
) -> None:
    """Close an application that the ResourceManager does not know any more, with what was observed of it."""
    if earlier is None or poll.recovering or poll.at_ms - earlier.last_seen_ms < RECOVERY_MS:
        return
    endings = [Ending(gone.container_id, gone.last_seen_ms, KILLED) for gone in observation.vanished]
    changes.save_endings(cursor, endings)
    changes.save_final(cursor, [observation.application_id], poll.at_ms)


def _write_machines(cursor: Cursor, poll: Poll, before: Before) -> None:
    machines = settings.load().machines
    states = {
        machine.machine_id: poll.nodes[node].state
        for node, machine in before.machines.items()
        if node in poll.nodes
    }
    earning = {machine.machine_id for machine in before.machines.values() if machine.earns}
    online = [
        machine_id for machine_id, state in states.items() if machine_id in earning and state == "RUNNING"
    ]
    changes.save_presence(cursor, online, poll.at_ms, gap_ms=max(15_000, 3_000 * machines.poll_interval_s))
    lost = [machine_id for machine_id, state in states.items() if state == "LOST"]
    changes.shorten_presence(cursor, lost, poll.at_ms - machines.node_expiry_s * 1500)
    if poll.at_ms - before.last_sample_ms >= _SAMPLE_MS:
        changes.save_samples(
            cursor, _alive(poll.nodes.values()), poll.partitions.values(), before.machines, poll.at_ms
        )
        changes.forget_samples(cursor, poll.at_ms - _SAMPLES_KEPT_MS)


def _alive(nodes: Iterable[Node]) -> list[Node]:
    """Return the nodes that can run something; the ResourceManager lists the others for a long time."""
    return [node for node in nodes if node.state in ("RUNNING", "UNHEALTHY", "DECOMMISSIONING")]


def _logged(application_id: str, attempt: int) -> list[ExecutorLife]:
    """Return what an attempt's event log says; nothing where HDFS is away: the meter goes on."""
    try:
        return executor_lives(hdfs(), application_id, attempt)
    except MarketError as error:
        log.warning("the event log of %s: %s", application_id, error.detail)
        return []
