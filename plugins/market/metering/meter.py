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
from market.metering import polling, store, unobserved
from market.metering.observations import RECOVERY_MS, Before, Poll, Seen
from market.metering.polling import Claims
from market.metering.store import Mark
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
    poll(resource_manager(), claims_of=_logged)


def poll(rm: ResourceManager, at_ms: int | None = None, claims_of: Claims = lambda _, __: []) -> bool:
    """Poll once, as if it were `at_ms`; tell whether it was written (False: a later poll was first).

    `claims_of` returns the executors of an application's event log.
    """
    at = clock.now_ms() if at_ms is None else at_ms
    with database.transaction() as cursor:
        before = Before(
            store.mark(cursor),
            store.open_applications(cursor),
            store.machines(cursor, settings.load().machines.verify),
            store.last_sample_ms(cursor),
        )
    found = polling.look(rm, before, at, claims_of)
    with database.transaction() as cursor:
        # The mark's row is the lock between two meters, and what they are ordered by.
        if not store.save_mark(cursor, Mark(at, found.epoch_ms)):
            return False
        for seen in found.seen:
            _write(cursor, seen, found, before)
        _write_machines(cursor, found, before)
        for app in found.unknown:
            detail = (
                f"{app.name} of {app.user}: its tags {', '.join(app.tags) or '(none)'} name no job of his"
            )
            store.warn(cursor, "unknown_application", app.application_id, detail, at)
    return True


def _write(cursor: Cursor, seen: Seen, found: Poll, before: Before) -> None:
    earlier = before.applications.get(seen.application_id)
    if seen.app is None:
        _write_forgotten(cursor, seen, found, earlier)
        return
    seen.place = store.place_of(cursor, seen.application_id, seen.job.job_id)
    _write_live(cursor, seen, seen.app, found, before)
    if not seen.app.ended:
        store.save_application(cursor, seen.app, seen.job.job_id, found.epoch_ms, found.at_ms)
        if not found.recovering:
            endings = endings_while_running(
                seen.vanished, found.nodes, _preempted(seen.app, earlier, found), found.at_ms
            )
            store.save_endings(cursor, endings)
        return
    store.save_gone(cursor, [one.container_id for one in seen.vanished], found.at_ms)
    if earlier is None or not earlier.is_final(seen.app, found.at_ms):
        if earlier is None or _moved(seen.app, earlier):
            store.save_application(cursor, seen.app, seen.job.job_id, found.epoch_ms, found.at_ms)
        return
    _write_final(cursor, seen, seen.app, found, before)


def _write_live(cursor: Cursor, seen: Seen, app: App, found: Poll, before: Before) -> None:
    known = {one.container_id for one in seen.known}
    rows = [
        new_container(
            one,
            seen.job.job_id,
            app.application_id,
            seen.drivers,
            before.machines.get(one.node_id),
            found.at_ms,
        )
        for one in seen.live
        if one.container_id not in known
    ]
    store.save_containers(cursor, rows, seen.place)
    store.save_seen(cursor, [one.container_id for one in seen.live if one.container_id in known], found.at_ms)


def _moved(app: App, earlier: KnownApplication) -> bool:
    """Tell whether an ended application is read differently than before: the wait for its end starts anew."""
    return (
        earlier.state != app.state
        or app.running_containers > 0
        or app.memory_seconds > earlier.memory_mib_seconds
        or app.vcore_seconds > earlier.vcore_seconds
    )


def _preempted(app: App, earlier: KnownApplication | None, found: Poll) -> int:
    """Return by how many MiB-seconds the preemption counter rose; a restarted ResourceManager's is wrong."""
    if earlier is None or earlier.epoch_ms != found.epoch_ms or app.started_ms < found.epoch_ms:
        return 0
    return max(0, app.preempted_memory_seconds - earlier.preempted_memory_mib_seconds)


def _write_final(cursor: Cursor, seen: Seen, app: App, found: Poll, before: Before) -> None:
    missed = unobserved.drivers(seen, app, before)
    store.save_containers(cursor, missed, seen.place)
    containers = store.containers(cursor, [app.application_id]).get(app.application_id, [])
    ends = {attempt.container_id: attempt.finished_ms for attempt in seen.attempts}
    endings = endings_of_ended(containers, app, found.epoch_ms, found.nodes, ends, found.at_ms)
    store.save_endings(cursor, endings)
    unobserved.fill_in(cursor, seen, app, containers, endings)
    store.save_final(cursor, [app.application_id], found.at_ms)


def _write_forgotten(cursor: Cursor, seen: Seen, found: Poll, earlier: KnownApplication | None) -> None:
    """Close an application that the ResourceManager does not know any more, with what was seen of it."""
    if earlier is None or found.recovering or found.at_ms - earlier.last_seen_ms < RECOVERY_MS:
        return
    store.save_endings(cursor, [Ending(one.container_id, one.last_seen_ms, KILLED) for one in seen.vanished])
    store.save_final(cursor, [seen.application_id], found.at_ms)


def _write_machines(cursor: Cursor, found: Poll, before: Before) -> None:
    machines = settings.load().machines
    states = {
        machine.machine_id: found.nodes[node].state
        for node, machine in before.machines.items()
        if node in found.nodes
    }
    earning = {machine.machine_id for machine in before.machines.values() if machine.earns}
    online = [
        machine_id for machine_id, state in states.items() if machine_id in earning and state == "RUNNING"
    ]
    store.save_presence(cursor, online, found.at_ms, gap_ms=max(15_000, 3_000 * machines.poll_interval_s))
    lost = [machine_id for machine_id, state in states.items() if state == "LOST"]
    store.shorten_presence(cursor, lost, found.at_ms - machines.node_expiry_s * 1500)
    if found.at_ms - before.last_sample_ms >= _SAMPLE_MS:
        store.save_samples(
            cursor, _alive(found.nodes.values()), found.partitions.values(), before.machines, found.at_ms
        )
        store.forget_samples(cursor, found.at_ms - _SAMPLES_KEPT_MS)


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
