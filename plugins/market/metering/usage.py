"""When a container ended, and why: rules over what polls observed, without any input or output.

The ResourceManager lists live containers only, so an end lies between the last poll that saw a container and
the first that did not. Its own totals for the application, which it keeps to the millisecond, narrow that
down once the application is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from market.cluster.resourcemanager import TERMINAL, App, Container, Node
from market.kit.vocabulary import DRAINED, DRIVER, EXECUTOR, FINISHED, KILLED, NODE_LOST, PREEMPTED

UNREGISTERED = "unregistered machine"
_FINAL_AFTER_MS = 4000  # the ResourceManager keeps a running total for 3 s before it counts again
_LOST = ("LOST", "REBOOTED", "UNHEALTHY")
_DRAINED = ("DECOMMISSIONING", "DECOMMISSIONED", "SHUTDOWN")


@dataclass(frozen=True)
class Machine:
    """A registered machine behind a node; `display_name` is what others see, `earns`: its time counts."""

    machine_id: str
    display_name: str
    earns: bool


@dataclass(frozen=True)
class KnownApplication:
    """An application as the last poll left it; the totals are high-water marks."""

    application_id: str
    job_id: str
    epoch_ms: int
    vcore_seconds: int
    memory_mib_seconds: int
    preempted_memory_mib_seconds: int
    state: str
    last_seen_ms: int

    def is_final(self, now: App, at_ms: int) -> bool:
        """Tell whether the totals will not change any more: two equal reads of an ended application.

        Between them the clock may have stepped back.
        """
        return (
            now.ended
            and now.running_containers == 0
            and self.state in TERMINAL
            and abs(at_ms - self.last_seen_ms) >= _FINAL_AFTER_MS
            and now.memory_seconds <= self.memory_mib_seconds
            and now.vcore_seconds <= self.vcore_seconds
        )


@dataclass(frozen=True)
class KnownContainer:
    """A container as the last poll left it."""

    container_id: str
    application_id: str
    role: str
    node_id: str
    vcores: int
    memory_mib: int
    start_ms: int
    last_seen_ms: int
    end_ms: int | None
    gone_ms: int | None

    @property
    def known_ms(self) -> int:
        """How long it was there for certain."""
        return (self.last_seen_ms if self.end_ms is None else self.end_ms) - self.start_ms


@dataclass(frozen=True)
class Ending:
    """The end of a container, as it is charged."""

    container_id: str
    end_ms: int
    kind: str


def attempt_of(container_id: str) -> int:
    """Return the number of the attempt that a container belongs to."""
    return max(1, int(container_id.rsplit("_", 2)[-2]))


def is_first(container_id: str) -> bool:
    """Tell whether it is an attempt's first container, which runs the driver."""
    return int(container_id.rsplit("_", 1)[-1]) == 1


def endings_while_running(
    vanished: Sequence[KnownContainer],
    nodes: Mapping[str, Node],
    preempted_mib_seconds: int,
    at_ms: int,
) -> list[Ending]:
    """Return the ends of containers that are gone while their application runs on.

    `preempted_mib_seconds` is by how much the application's preemption counter rose since the last poll: the
    ResourceManager adds a container's whole life to it. The end is the last poll that saw the container,
    never later than the truth; that of a lost node is the poll that found it lost.
    """
    endings = []
    for container in sorted(vanished, key=lambda known: known.memory_mib * known.known_ms, reverse=True):
        kind = _node_kind(nodes.get(container.node_id))
        if kind is None:
            life = container.memory_mib * container.known_ms // 1000
            kind = PREEMPTED if 0 < life <= preempted_mib_seconds else FINISHED
            preempted_mib_seconds -= life if kind == PREEMPTED else 0
        end_ms = max(at_ms, container.last_seen_ms) if kind == NODE_LOST else container.last_seen_ms
        endings.append(Ending(container.container_id, end_ms, kind))
    return endings


def endings_of_ended(
    containers: Sequence[KnownContainer],
    app: App,
    epoch_ms: int,
    nodes: Mapping[str, Node],
    driver_ends: Mapping[str, int],
    at_ms: int,
) -> list[Ending]:
    """Return the ends of an ended application's open containers, so that all add up to its final totals.

    Where the totals cannot be trusted, because the ResourceManager started anew after the application did,
    a driver ended when its attempt did (`driver_ends`, by container) and an executor when it was last seen.
    """
    still_open = [container for container in containers if container.end_ms is None]
    latest = {
        container.container_id: max(container.last_seen_ms, container.gone_ms or at_ms)
        for container in still_open
    }
    part = _part(containers, app, latest) if app.started_ms >= epoch_ms else None
    endings = []
    for container in still_open:
        window_ms = latest[container.container_id] - container.last_seen_ms
        if part is not None:
            end_ms = container.last_seen_ms + window_ms * part.numerator // part.denominator
        else:
            driver_end_ms = driver_ends.get(container.container_id, 0)
            end_ms = max(container.last_seen_ms, min(driver_end_ms, latest[container.container_id]))
        kind = _kind_at_end(app, nodes.get(container.node_id))
        endings.append(Ending(container.container_id, end_ms, kind))
    return endings


def _part(containers: Iterable[KnownContainer], app: App, latest: Mapping[str, int]) -> Fraction:
    """Return which part of their uncertain time the open containers were there, by the application's totals.

    Memory decides: the ResourceManager drops less than a MiB and second for each container, but also less
    than a core and second, which is much for a container with one core.
    """
    parts = [Fraction(1)]
    listed = list(containers)
    for total, size in (
        (app.memory_seconds + len(listed), lambda container: container.memory_mib),
        (app.vcore_seconds + len(listed), lambda container: container.vcores),
    ):
        certain = sum(size(container) * container.known_ms for container in listed)
        open_ms = sum(
            size(container) * (latest[container.container_id] - container.last_seen_ms)
            for container in listed
            if container.container_id in latest
        )
        if open_ms:
            parts.append(Fraction(total * 1000 - certain, open_ms))
    return max(Fraction(0), min(parts))


def _node_kind(node: Node | None) -> str | None:
    """Return why a container ended if its node did, None if the node is well."""
    if node is None or node.state in _LOST:
        return NODE_LOST
    return DRAINED if node.state in _DRAINED else None


def _kind_at_end(app: App, node: Node | None) -> str:
    """Return why a container ended whose application has ended; a node that still drains ended nothing."""
    if app.state == "FINISHED" and app.final_status == "SUCCEEDED":
        return FINISHED
    if app.state == "KILLED" or (node is not None and node.state == "DECOMMISSIONING"):
        return KILLED
    return _node_kind(node) or KILLED


def new_container(
    container: Container,
    job_id: str,
    application_id: str,
    drivers: Iterable[str],
    machine: Machine | None,
    at_ms: int,
) -> dict[str, object]:
    """Return the row of a container that is observed for the first time."""
    start_ms = container.started_ms or at_ms
    is_driver = container.container_id in drivers or is_first(container.container_id)
    return {
        "container_id": container.container_id,
        "job_id": job_id,
        "application_id": application_id,
        "attempt": attempt_of(container.container_id),
        "role": DRIVER if is_driver else EXECUTOR,
        "node_id": container.node_id,
        "host": machine.display_name if machine else UNREGISTERED,
        "machine_id": machine.machine_id if machine else None,
        "vcores": max(1, container.allocated_vcores),
        "memory_mib": max(1, container.allocated_mib),
        "start_ms": start_ms,
        "last_seen_ms": max(at_ms, start_ms),
    }
