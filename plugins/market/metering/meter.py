"""The meter: one poll of the ResourceManager after the other, each written in one transaction.

Whatever is written is true at the moment before the first request: a container that started or
ended during a poll is left to the next.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from market.cluster.clients import hdfs, resource_manager
from market.cluster.errors import ClusterUnavailable
from market.cluster.event_log import ExecutorLife, executor_lives
from market.cluster.resourcemanager import App, ResourceManager
from market.hadoop import paths
from market.kit import alerts, audit, clock, database, isolation, settings
from market.kit.database import Cursor
from market.kit.errors import ConflictError
from market.kit.vocabulary import KILLED
from market.metering import changes, polling, queries, unobserved
from market.metering.observations import Before, Observation, Poll, recovery_ms
from market.metering.polling import Claims
from market.metering.queries import Mark, TaggedJob
from market.metering.usage import (
    Ending,
    KnownApplication,
    KnownContainer,
    endings_of_ended,
    endings_while_running,
    new_container,
)

log = logging.getLogger(__name__)

_SAMPLE_MS = 10_000
_SAMPLES_KEPT_MS = 3 * 86_400_000
_STEP_MS = 5_000  # a poll that is so much earlier than the last one: the clock stepped back


def run_pass() -> None:
    """Poll once and write it. Raises ClusterUnavailable when the ResourceManager does not answer."""
    poll_once(resource_manager(), claims_of=_logged)


def poll_once(rm: ResourceManager, at_ms: int | None = None, claims_of: Claims = lambda *_: []) -> bool:
    """Poll once, as if it were `at_ms`; tell whether it was written (False: a later poll was first).

    `claims_of` returns the executors of an application's event log.
    """
    at = clock.now_ms() if at_ms is None else at_ms
    with database.transaction() as cursor:
        before = Before(
            queries.mark(cursor),
            queries.open_applications(cursor),
            queries.machines(cursor, settings.load().machines.verify, at),
            queries.last_sample_ms(cursor),
        )
    stepped_ms = before.mark.at_ms - at if at_ms is None else 0
    poll = polling.poll(rm, before, at, claims_of)
    with database.transaction() as cursor:
        # The mark's row is the lock between two meters, and what they are ordered by.
        if stepped_ms > _STEP_MS:
            if not changes.set_back(cursor, before.mark, Mark(at, poll.epoch_ms)):
                return False
            _tell_of_step(cursor, before.mark, at)
        elif not changes.save_mark(cursor, Mark(at, poll.epoch_ms)):
            return False
        isolation.each_within(
            cursor,
            "metering",
            poll.observations,
            lambda observation: _write(cursor, observation, poll, before),
            lambda observation: observation.application_id,
            lambda observation, why: _give_up(cursor, observation, poll, before, why),
        )
        _write_machines(cursor, poll, before)
        for app in poll.unknown:
            _tell_of_stranger(cursor, app)
    isolation.each(
        "ending unknown applications",
        [app for app in poll.unknown if not app.ended],
        lambda app: rm.kill(app.application_id),
        lambda app: app.application_id,
        ends=(ClusterUnavailable,),
    )
    return True


def _tell_of_stranger(cursor: Cursor, app: App) -> None:
    """Name an application that is none of the market's once, in an alert and in the audit.

    Nothing of it is written as usage: so the time that it took of a machine counts as idle, for the stipend
    of the machine's owner, and nobody can have the treasury pay for what he ran beside the market.
    """
    tags = ", ".join(app.tags) or "(none)"
    detail = (
        f"{app.name} of {app.user} in the queue {app.queue}: its tags {tags} name no run of that user's "
        f"without an application. {'It has ended already.' if app.ended else 'It is killed.'}"
    )
    if audit.write(cursor, audit.UNKNOWN_APPLICATION, app.user, app.application_id, detail, once=True):
        alerts.raise_once(cursor, alerts.UNKNOWN_APPLICATION, app.application_id, detail)


def _tell_of_step(cursor: Cursor, last: Mark, at_ms: int) -> None:
    """Say that the clock stepped back, in the log and to the operators, once for each minute that it left.

    From here on the new time counts. What was observed until the old one stays: a container that was there
    then is charged for no more until that time has come again.
    """
    back_s = (last.at_ms - at_ms) // 1000
    left = datetime.fromtimestamp(last.at_ms / 1000, UTC).isoformat(timespec="minutes")
    detail = f"The market's clock stepped back by {back_s} s: what ran then is charged no more before {left}."
    log.warning(detail)
    alerts.raise_once(cursor, alerts.CLOCK_STEPPED_BACK, left, detail)


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
        preempted = _preempted(app, earlier, poll)
        changes.save_endings(
            cursor, endings_while_running(poll.gone(observation), poll.nodes, preempted, poll.at_ms)
        )
        return
    changes.save_gone(cursor, [container.container_id for container in observation.vanished], poll.at_ms)
    if earlier is None or observation.waits or not earlier.is_final(app, poll.at_ms):
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
    if earlier is None or poll.recovering or abs(poll.at_ms - earlier.last_seen_ms) < recovery_ms():
        return
    _close(cursor, observation.application_id, observation.vanished, poll)


def _give_up(cursor: Cursor, observation: Observation, poll: Poll, before: Before, why: str) -> None:
    """Close an application that cannot be written, with what was: its job's hold must not wait for ever."""
    if observation.application_id not in before.applications:
        raise ConflictError(f"nothing of it was ever written: {why}")
    still_open = [container for container in observation.known if container.end_ms is None]
    _close(cursor, observation.application_id, still_open, poll)


def _close(cursor: Cursor, application_id: str, still_open: Iterable[KnownContainer], poll: Poll) -> None:
    endings = [Ending(container.container_id, container.last_seen_ms, KILLED) for container in still_open]
    changes.save_endings(cursor, endings)
    changes.save_final(cursor, [application_id], poll.at_ms)


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
    if abs(poll.at_ms - before.last_sample_ms) >= _SAMPLE_MS:
        changes.save_samples(cursor, poll.partitions.values(), poll.at_ms)
        changes.forget_samples(cursor, poll.at_ms - _SAMPLES_KEPT_MS)


def _logged(job: TaggedJob, application_id: str, attempt: int) -> list[ExecutorLife]:
    """Return what an attempt's event log says; nothing where HDFS is away or it is bad: the meter goes on."""
    nothing: list[ExecutorLife] = []
    folders = (paths.events(job.folder), paths.EVENT_LOGS)
    return isolation.guarded(
        "reading event logs",
        application_id,
        lambda: executor_lives(hdfs(), folders, application_id, attempt),
        nothing,
    )
