"""Containers that no poll observed: drivers, known from attempts, and executors, from the event log."""

from __future__ import annotations

from market.cluster.resourcemanager import App, Container
from market.hadoop.allocation import DRIVER_CORES, container_mib
from market.kit import settings
from market.kit.database import Cursor
from market.metering import changes, queries, unobserved_executors
from market.metering.observations import Before, Observation
from market.metering.queries import TaggedJob
from market.metering.usage import Ending, KnownContainer, attempt_of, new_container


def any_of(observation: Observation, before: Before, epoch_ms: int, at_ms: int) -> bool:
    """Tell whether an application that is final now was counted for more than the polls observed."""
    app, earlier = observation.app, before.applications.get(observation.application_id)
    if app is None or earlier is None or not earlier.is_final(app, at_ms) or app.started_ms < epoch_ms:
        return False
    return unobserved_executors.room_of(app, observation.known, {}).holds(_executor_size(observation.job))


def last_attempt(observation: Observation) -> int:
    """Return the number of an application's last attempt.

    Only its log is read: what an earlier attempt paid may have been refunded by now, once and for all.
    """
    return max(
        (attempt_of(attempt.container_id) for attempt in observation.attempts if attempt.container_id),
        default=1,
    )


def _executor_size(job: TaggedJob) -> unobserved_executors.Size:
    return unobserved_executors.Size(job.executor_cores, container_mib(job.executor_memory_mib))


def add_executors(
    cursor: Cursor,
    observation: Observation,
    app: App,
    containers: list[KnownContainer],
    endings: list[Ending],
) -> None:
    """Add executors that only the event log knows, within what the totals leave."""
    if not observation.claims:
        return
    room = unobserved_executors.room_of(
        app, containers, {ending.container_id: ending.end_ms for ending in endings}
    )
    known = [container.container_id for container in containers]
    lives = unobserved_executors.believable(
        observation.claims, app, last_attempt(observation), known, queries.gaps(cursor, app.started_ms)
    )
    rows, ends = unobserved_executors.rows(
        lives,
        room,
        _executor_size(observation.job),
        observation.job.job_id,
        app.application_id,
        lambda life: queries.machine_at(
            cursor,
            life.node_id,
            observation.job.machine_type,
            life.added_ms,
            life.removed_ms or life.added_ms,
        ),
    )
    changes.save_containers(cursor, rows, observation.place)
    changes.save_endings(cursor, ends)


def drivers(observation: Observation, app: App, before: Before) -> list[dict[str, object]]:
    """Return rows for drivers that lived between two polls; their attempts say where and when.

    They are taken to have held what the job asked for, as an attempt does not say it. The totals bound it all
    the same.
    """
    known = {container.container_id for container in observation.known}
    rows = []
    for attempt in observation.attempts:
        if not attempt.container_id or not attempt.started_ms or attempt.container_id in known:
            continue
        container = Container(
            container_id=attempt.container_id,
            attempt_id=attempt.attempt_id,
            node_id=attempt.node_id,
            host=attempt.host,
            node_http=attempt.node_http,
            allocated_mib=_driver_mib(observation.job),
            allocated_vcores=DRIVER_CORES,
            started_ms=attempt.started_ms,
            state="COMPLETE",
        )
        machine = before.machines.get(attempt.node_id)
        row = new_container(
            container, observation.job.job_id, app.application_id, observation.drivers, machine, 0
        )
        end_ms = max(attempt.started_ms, attempt.finished_ms or app.finished_ms)
        rows.append(row | {"gone_ms": end_ms, "attempt": attempt_of(attempt.container_id)})
    return rows


def _driver_mib(job: TaggedJob) -> int:
    return container_mib(job.driver_memory_mib or settings.load().jobs.driver_memory_mib)
