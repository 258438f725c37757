"""Executors that lived wholly between two polls: where they were, as the program's own event log says.

The log is the program's word, so it only shares out what the ResourceManager counted and no poll observed. It
takes nothing from a container that was observed, raises no total, and nothing in it is ever refunded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from market.cluster.event_log import ExecutorLife
from market.cluster.resourcemanager import App
from market.kit.vocabulary import EXECUTOR, FINISHED
from market.metering.usage import UNREGISTERED, Ending, KnownContainer, Machine, attempt_of, is_first

# Longer than two polls are apart, unless a gap was noted: see `meter_gap` in sql/schema/0005_metering.sql.
UNOBSERVED_MS = 10_000
_CONTAINER = re.compile(r"container_(?:e\d+_)?(\d+_\d+)_(\d+)_\d+")


@dataclass(frozen=True)
class Size:
    """What YARN allocates for one executor of the job."""

    vcores: int
    memory_mib: int


@dataclass(frozen=True)
class Room:
    """What the ResourceManager counted and no poll observed, times milliseconds."""

    mib_ms: int
    vcore_ms: int

    def holds(self, size: Size) -> bool:
        """Tell whether it is more than rounding: at least a second of an executor."""
        return self.mib_ms >= size.memory_mib * 1000 and self.vcore_ms >= size.vcores * 1000


def room_of(app: App, containers: Iterable[KnownContainer], ends: Mapping[str, int]) -> Room:
    """Return what an ended application's totals leave beside its containers, each until its end.

    `ends`: the ends, by container, of those that are still open.
    """
    mib_ms, vcore_ms = app.memory_seconds * 1000, app.vcore_seconds * 1000
    for container in containers:
        end_ms = (
            container.end_ms
            or ends.get(container.container_id)
            or container.gone_ms
            or container.last_seen_ms
        )
        mib_ms -= container.memory_mib * (end_ms - container.start_ms)
        vcore_ms -= container.vcores * (end_ms - container.start_ms)
    return Room(max(0, mib_ms), max(0, vcore_ms))


def believable(
    lives: Iterable[ExecutorLife],
    app: App,
    attempt: int,
    known: Iterable[str],
    gaps: Sequence[tuple[int, int]],
) -> list[ExecutorLife]:
    """Return the claims that could be true, each with its end.

    That is: of an executor of this attempt of the application that no poll observed, within the application's
    life, and for no longer than polls can have missed it.
    """
    taken, believed = set(known), []
    for claim in sorted(lives, key=lambda claim: (claim.added_ms, claim.container_id)):
        start_ms = max(claim.added_ms, app.started_ms)
        end_ms = min(claim.removed_ms or app.finished_ms, app.finished_ms)
        unobserved = end_ms - start_ms <= UNOBSERVED_MS or any(
            start_ms >= since and end_ms <= until for since, until in gaps
        )
        if (
            start_ms < end_ms
            and unobserved
            and claim.container_id not in taken
            and _is_of(claim.container_id, app, attempt)
        ):
            taken.add(claim.container_id)
            believed.append(ExecutorLife(claim.container_id, claim.node_id, start_ms, end_ms))
    return believed


def _is_of(container_id: str, app: App, attempt: int) -> bool:
    match = _CONTAINER.fullmatch(container_id)
    return (
        match is not None
        and f"application_{match[1]}" == app.application_id
        and int(match[2]) == attempt
        and not is_first(container_id)
    )


def rows(
    lives: Sequence[ExecutorLife],
    room: Room,
    size: Size,
    job_id: str,
    application_id: str,
    machine_at: Callable[[ExecutorLife], Machine | None],
) -> tuple[list[dict[str, object]], list[Ending]]:
    """Return the containers to add and their ends, all together within the room.

    Where the claims are more than the room, each is cut by the same part. `machine_at` knows which machine
    was there then; what ran on none that is known is the market's.
    """
    claimed_ms = sum((life.removed_ms or life.added_ms) - life.added_ms for life in lives)
    if not claimed_ms or not room.holds(size):
        return [], []
    left_ms = min(room.mib_ms // size.memory_mib, room.vcore_ms // size.vcores)
    added, endings = [], []
    for life in lives:
        machine = machine_at(life)
        life_ms = (life.removed_ms or life.added_ms) - life.added_ms
        end_ms = life.added_ms + life_ms * min(left_ms, claimed_ms) // claimed_ms
        added.append(
            {
                "container_id": life.container_id,
                "job_id": job_id,
                "application_id": application_id,
                "attempt": attempt_of(life.container_id),
                "role": EXECUTOR,
                "node_id": life.node_id,
                "host": machine.display_name if machine else UNREGISTERED,
                "machine_id": machine.machine_id if machine else None,
                "vcores": size.vcores,
                "memory_mib": size.memory_mib,
                "start_ms": life.added_ms,
                "last_seen_ms": life.added_ms,
            }
        )
        endings.append(Ending(life.container_id, end_ms, FINISHED))
    return added, endings
