"""The meter: one poll of the ResourceManager after the other, each written in one transaction.

A poll costs five requests (/info, /apps twice, /nodes, /scheduler) and two or three for each running
application. Whatever is written is true at the moment before the first request: a container that started or
ended during a poll is left to the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from market import clock, db, settings
from market.cluster.clients import hdfs, resource_manager
from market.cluster.event_log import ExecutorLife, executor_lives
from market.cluster.resourcemanager import App, Attempt, Container, Node, Partition, ResourceManager
from market.db import Cursor
from market.errors import MarketError
from market.metering import filling, store
from market.metering.store import Mark, TaggedJob
from market.metering.usage import (
    Ending,
    KnownApplication,
    KnownContainer,
    Machine,
    attempt_of,
    endings_of_ended,
    endings_while_running,
    new_container,
)

log = logging.getLogger(__name__)

Claims = Callable[[str], list[ExecutorLife]]
OPEN_STATES = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
_OVERLAP_MS = 10_000  # applications that came and went around the last poll are looked at again
_SAMPLE_MS = 10_000
_SAMPLES_KEPT_MS = 3 * 86_400_000
# After its start the ResourceManager hears of containers only as their nodes come back: they retry for this
# long, and until then nothing counts as gone.
_RECOVERY_MS = 60_000


@dataclass(frozen=True)
class Before:
    """What earlier polls left, read before this one asks."""

    mark: Mark
    applications: Mapping[str, KnownApplication]
    machines: Mapping[str, Machine]
    last_sample_ms: int


@dataclass
class Seen:
    """What a poll found out about one application. `app` None: the ResourceManager does not know it."""

    job: TaggedJob
    application_id: str
    app: App | None
    known: list[KnownContainer]
    live: list[Container] = field(default_factory=list)
    claims: list[ExecutorLife] = field(default_factory=list)  # what its own event log says of executors
    attempts: list[Attempt] = field(default_factory=list)
    place: int = 0  # among its job's applications

    @property
    def drivers(self) -> set[str]:
        """The containers that ran drivers."""
        return {attempt.container_id for attempt in self.attempts}

    @property
    def vanished(self) -> list[KnownContainer]:
        """Containers that were open and are not live now."""
        live = {container.container_id for container in self.live}
        return [one for one in self.known if one.end_ms is None and one.container_id not in live]


@dataclass(frozen=True)
class Poll:
    """All that one poll saw."""

    at_ms: int
    epoch_ms: int
    nodes: Mapping[str, Node]
    partitions: Mapping[str, Partition]
    seen: list[Seen]
    unknown: list[App]

    @property
    def recovering(self) -> bool:
        """Tell whether the ResourceManager started so recently that it may not know all containers yet."""
        return self.at_ms - self.epoch_ms < _RECOVERY_MS


def run_pass() -> None:
    """Poll once and write it. Raises ClusterUnavailable when the ResourceManager does not answer."""
    poll(resource_manager(), claims_of=_logged)


def poll(rm: ResourceManager, at_ms: int | None = None, claims_of: Claims = lambda _: []) -> bool:
    """Poll once, as if it were `at_ms`; tell whether it was written (False: a later poll was first).

    `claims_of` returns the executors of an application's event log.
    """
    at = clock.now_ms() if at_ms is None else at_ms
    with db.transaction() as cursor:
        before = Before(
            store.mark(cursor),
            store.open_applications(cursor),
            store.machines(cursor, settings.load().machines.verify),
            store.last_sample_ms(cursor),
        )
    found = _look(rm, before, at, claims_of)
    with db.transaction() as cursor:
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


# --- asking -----------------------------------------------------------------------------------------------


def _look(rm: ResourceManager, before: Before, at_ms: int, claims_of: Claims) -> Poll:
    epoch_ms = int(rm.info()["startedOn"])
    since_ms = max(0, before.mark.at_ms - _OVERLAP_MS)
    apps = {app.application_id: app for app in rm.apps(started_after_ms=since_ms)}
    apps |= {app.application_id: app for app in rm.apps(states=OPEN_STATES)}
    nodes = {node.node_id: node for node in rm.nodes()}
    with db.transaction() as cursor:
        for done in store.final_ones(cursor, apps):
            del apps[done]
        jobs = store.tagged_jobs(cursor, {tag for app in apps.values() for tag in app.tags})
        jobs |= store.tagged_jobs(cursor, {one.job_id for one in before.applications.values()})
        known = store.containers(cursor, {*apps, *before.applications})
        canaries = store.canaries(cursor)
    seen, unknown = [], []
    for application_id, app in apps.items():
        job = _job_of(app, jobs)
        if job is not None:
            seen.append(Seen(job, application_id, app, known.get(application_id, [])))
        elif not app.ended and not canaries.intersection(app.tags):
            unknown.append(app)
    for application_id, earlier in before.applications.items():
        if application_id not in apps:
            app_now = rm.app(application_id)
            seen.append(Seen(jobs[earlier.job_id], application_id, app_now, known.get(application_id, [])))
    for one in seen:
        _look_closer(rm, one, before)
        if _lacks_containers(one, before, epoch_ms, at_ms):
            one.claims = claims_of(one.application_id)
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
    if not app.ended or app.running_containers:
        seen.live = rm.containers(app.application_id)
        if seen.vanished and not app.ended:
            # It may have ended between the two answers: then its totals, not the poll, say when.
            seen.app = rm.app(app.application_id)
    known = {one.container_id for one in seen.known}
    is_new = any(container.container_id not in known for container in seen.live)
    earlier = before.applications.get(app.application_id)
    if is_new or (app.ended and earlier is not None):
        seen.attempts = rm.attempts(app.application_id)


def _lacks_containers(seen: Seen, before: Before, epoch_ms: int, at_ms: int) -> bool:
    """Tell whether an application that is final now was counted for more than the polls saw."""
    app, earlier = seen.app, before.applications.get(seen.application_id)
    if app is None or earlier is None or not earlier.is_final(app, at_ms) or app.started_ms < epoch_ms:
        return False
    return filling.room_of(app, seen.known, {}).holds(_executor_size(seen.job))


def _executor_size(job: TaggedJob) -> filling.Size:
    from market.jobs.spec import container_mib

    return filling.Size(job.executor_cores, container_mib(job.executor_memory_mib))


def _logged(application_id: str) -> list[ExecutorLife]:
    """Return what an application's event log says; nothing where HDFS is away: the meter goes on."""
    try:
        return executor_lives(hdfs(), application_id)
    except MarketError as error:
        log.warning("the event log of %s: %s", application_id, error.detail)
        return []


# --- writing ----------------------------------------------------------------------------------------------


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
    missed = _missed_drivers(seen, app, before)
    store.save_containers(cursor, missed, seen.place)
    containers = store.containers(cursor, [app.application_id]).get(app.application_id, [])
    ends = {attempt.container_id: attempt.finished_ms for attempt in seen.attempts}
    endings = endings_of_ended(containers, app, found.epoch_ms, found.nodes, ends, found.at_ms)
    store.save_endings(cursor, endings)
    _fill_in(cursor, seen, app, containers, endings)
    store.save_final(cursor, [app.application_id], found.at_ms)


def _fill_in(
    cursor: Cursor, seen: Seen, app: App, containers: list[KnownContainer], endings: list[Ending]
) -> None:
    """Add executors that only the event log knows, within what the totals leave."""
    if not seen.claims:
        return
    room = filling.room_of(app, containers, {ending.container_id: ending.end_ms for ending in endings})
    known = [one.container_id for one in containers]
    lives = filling.believable(seen.claims, app, known, store.gaps(cursor, app.started_ms))
    rows, ends = filling.rows(
        lives,
        room,
        _executor_size(seen.job),
        seen.job.job_id,
        app.application_id,
        lambda life: store.machine_at(
            cursor, life.node_id, seen.job.machine_type, life.added_ms, life.removed_ms or life.added_ms
        ),
    )
    store.save_containers(cursor, rows, seen.place)
    store.save_endings(cursor, ends)


def _missed_drivers(seen: Seen, app: App, before: Before) -> list[dict[str, object]]:
    """Return rows for drivers that lived between two polls; their attempts tell where and when.

    What they held is what the job asked for: an attempt does not tell. The totals bound it all the same.
    """
    known = {one.container_id for one in seen.known}
    rows = []
    for attempt in seen.attempts:
        if not attempt.container_id or not attempt.started_ms or attempt.container_id in known:
            continue
        container = Container(
            container_id=attempt.container_id,
            attempt_id=attempt.attempt_id,
            node_id=attempt.node_id,
            host=attempt.host,
            node_http=attempt.node_http,
            allocated_mib=_driver_mib(seen.job),
            allocated_vcores=1,
            started_ms=attempt.started_ms,
            state="COMPLETE",
        )
        machine = before.machines.get(attempt.node_id)
        row = new_container(container, seen.job.job_id, app.application_id, seen.drivers, machine, 0)
        end_ms = max(attempt.started_ms, attempt.finished_ms or app.finished_ms)
        rows.append(row | {"gone_ms": end_ms, "attempt": attempt_of(attempt.container_id)})
    return rows


def _driver_mib(job: TaggedJob) -> int:
    from market.jobs.spec import container_mib

    return int(container_mib(job.driver_memory_mib or settings.load().jobs.driver_memory_mib))


def _write_forgotten(cursor: Cursor, seen: Seen, found: Poll, earlier: KnownApplication | None) -> None:
    """Close an application that the ResourceManager does not know any more, with what was seen of it."""
    if earlier is None or found.recovering or found.at_ms - earlier.last_seen_ms < _RECOVERY_MS:
        return
    store.save_endings(
        cursor, [Ending(one.container_id, one.last_seen_ms, "killed") for one in seen.vanished]
    )
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
