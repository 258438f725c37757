"""Containers that no poll saw: drivers, told of by attempts, and executors, told of by the event log."""

from __future__ import annotations

from market.cluster.resourcemanager import App, Container
from market.hadoop.allocation import DRIVER_CORES, container_mib
from market.kit import settings
from market.kit.database import Cursor
from market.metering import store, unobserved_executors
from market.metering.observations import Before, Seen
from market.metering.store import TaggedJob
from market.metering.usage import Ending, KnownContainer, attempt_of, new_container


def any_of(seen: Seen, before: Before, epoch_ms: int, at_ms: int) -> bool:
    """Tell whether an application that is final now was counted for more than the polls saw."""
    app, earlier = seen.app, before.applications.get(seen.application_id)
    if app is None or earlier is None or not earlier.is_final(app, at_ms) or app.started_ms < epoch_ms:
        return False
    return unobserved_executors.room_of(app, seen.known, {}).holds(_executor_size(seen.job))


def last_attempt(seen: Seen) -> int:
    """Return the number of an application's last attempt.

    Only its log is asked for executors: what an earlier one paid may be refunded by now, once and for all.
    """
    return max((attempt_of(one.container_id) for one in seen.attempts if one.container_id), default=1)


def _executor_size(job: TaggedJob) -> unobserved_executors.Size:
    return unobserved_executors.Size(job.executor_cores, container_mib(job.executor_memory_mib))


def fill_in(
    cursor: Cursor, seen: Seen, app: App, containers: list[KnownContainer], endings: list[Ending]
) -> None:
    """Add executors that only the event log knows, within what the totals leave."""
    if not seen.claims:
        return
    room = unobserved_executors.room_of(
        app, containers, {ending.container_id: ending.end_ms for ending in endings}
    )
    known = [one.container_id for one in containers]
    lives = unobserved_executors.believable(
        seen.claims, app, last_attempt(seen), known, store.gaps(cursor, app.started_ms)
    )
    rows, ends = unobserved_executors.rows(
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


def drivers(seen: Seen, app: App, before: Before) -> list[dict[str, object]]:
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
            allocated_vcores=DRIVER_CORES,
            started_ms=attempt.started_ms,
            state="COMPLETE",
        )
        machine = before.machines.get(attempt.node_id)
        row = new_container(container, seen.job.job_id, app.application_id, seen.drivers, machine, 0)
        end_ms = max(attempt.started_ms, attempt.finished_ms or app.finished_ms)
        rows.append(row | {"gone_ms": end_ms, "attempt": attempt_of(attempt.container_id)})
    return rows


def _driver_mib(job: TaggedJob) -> int:
    return container_mib(job.driver_memory_mib or settings.load().jobs.driver_memory_mib)
