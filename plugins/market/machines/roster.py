"""One pass over all machines: compare the registrations with the ResourceManager's nodes, and act.

A machine's way: offered -> joining (its agent took the token) -> active (that very node runs with the
declared size and its type's label) -> draining -> left; lost while the node is silent, rejected if it is
not as declared. One that is lent for hours of the day rests outside them, after a drain. A pass may be
repeated or cut off anywhere: the next one finds what is left to do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from market.cluster import host_lists
from market.cluster.clients import resource_manager
from market.cluster.errors import ClusterRefused, ClusterUnavailable
from market.cluster.resourcemanager import Node
from market.hadoop.site import POOL_LABEL, admission_lists
from market.kit import alerts, clock, database, isolation
from market.kit.settings import Settings, load
from market.kit.vocabulary import ACTIVE, DRAINING, JOINING, LEFT, LOST, OFFERED, REJECTED, RESTING
from market.machines import changes, hours, identities, queries
from market.machines.admission import HostLists
from market.machines.machine import Machine, size_name

LOCK = "market.machines.roster"

# An agent has this long to take its token, and then to bring its NodeManager up. An address that is not the
# caller's own is held for the shorter time only.
_OFFER_MS = 3_600_000
_JOIN_MS = 600_000
_DAY_MS = 86_400_000
# What a drain may take beyond its time before the machine is thrown out.
_OVERTIME_MS = 30_000
_PRESENT = ("RUNNING", "UNHEALTHY", "DECOMMISSIONING")
_TAKES_WORK = ("RUNNING", "UNHEALTHY", "NEW")


class Cluster(Protocol):
    """What the roster needs of the ResourceManager."""

    def info(self) -> dict[str, Any]: ...
    def nodes(self, states: str | None = None) -> list[Node]: ...
    def labels(self) -> list[str]: ...
    def add_labels(self, names: Iterable[str]) -> None: ...
    def replace_labels(self, by_node: Mapping[str, list[str]]) -> None: ...
    def set_node_resource(self, node_id: str, mib: int, vcores: int, timeout_ms: int = -1) -> None: ...


@dataclass(frozen=True)
class Verdict:
    """What follows for one machine. `label` is to be set first; `again`: the lists must be read anew.

    `resize`: YARN still has an earlier size of it.
    """

    state: str
    reason: str = ""
    label: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False
    resize: bool = False


def run_pass() -> None:
    """Run one pass on this stack. Raises ClusterUnavailable or ClusterRefused; the next pass goes on."""
    loaded = load()
    lists = HostLists(loaded, functools.partial(host_lists.refresh, admission_lists(loaded)))
    watch(resource_manager(), lists, loaded, clock.now_ms())
    if loaded.kerberos:
        identities.withdraw(loaded)


def watch(cluster: Cluster, lists: HostLists, settings: Settings, at_ms: int) -> None:
    """Run one pass at a time (epoch ms) against a ResourceManager."""
    _make_labels(cluster, settings)
    nodes = {node.node_id: node for node in cluster.nodes()}
    started_ms = int(cluster.info().get("startedOn") or 0)
    settling = at_ms - started_ms < settings.machines.node_expiry_s * 1000
    with database.transaction() as cursor:
        machines = queries.live(cursor)
    verdicts: list[tuple[Machine, Verdict]] = []
    _each_machine(
        "judging machines",
        machines,
        lambda machine: verdicts.append((machine, judge(machine, nodes, settings, at_ms, settling))),
    )
    _label(cluster, {m.node_id: [v.label] if v.label else [] for m, v in verdicts if v.label is not None})
    registered = {machine.node_id for machine in machines if machine.state != OFFERED}
    registered -= {machine.node_id for machine, verdict in verdicts if verdict.state == REJECTED}
    _each_machine(
        "resizing machines",
        [machine for machine, verdict in verdicts if verdict.resize],
        lambda machine: cluster.set_node_resource(machine.node_id, machine.memory_mib, machine.core_count),
    )
    _keep(verdicts, at_ms)
    _empty(cluster, [node for node in nodes.values() if node.node_id not in registered])

    with database.transaction() as cursor:  # read anew: an owner may have changed something meanwhile
        machines = queries.live(cursor)
    include = {machine.ip_address for machine in machines if machine.state not in (OFFERED, RESTING)}
    leaving = {m.ip_address: drain_s(m, settings, at_ms) for m in machines if m.state == DRAINING}
    lists.apply(include, leaving, again=any(verdict.again for _, verdict in verdicts))
    _note_admitted(machines, include)


def judge(
    machine: Machine, nodes: Mapping[str, Node], settings: Settings, at_ms: int, settling: bool = False
) -> Verdict:
    """Return what follows for a machine; `settling`: the ResourceManager has only just started."""
    node = nodes.get(machine.node_id)
    present = node is not None and node.state in _PRESENT
    if machine.state == DRAINING:
        return _leaving(machine, present)
    if at_ms >= machine.lease_end_ms - lead_s(machine, settings) * 1000:
        if present:
            return Verdict(DRAINING, "the lease ends", changes={"drain_ms": at_ms})
        return _left("the lease has ended")
    if machine.state == OFFERED:
        offer_ms = _offer_ms(machine)
        if at_ms - machine.created_ms > offer_ms:
            return _left(f"no agent joined within {offer_ms // 60_000} minutes")
        return Verdict(OFFERED)
    if not _in_hours(machine, settings, at_ms):
        return _outside_hours(machine, present, at_ms)
    if machine.state == RESTING:
        return Verdict(JOINING, "its hours have begun", changes={"joined_ms": at_ms})
    if node is None or not present:
        return _silent(machine, node, at_ms, settling)
    if node.state == "UNHEALTHY":
        return Verdict(LOST, f"unhealthy: {node.health_report or 'no report'}"[:300])
    if node.state == "DECOMMISSIONING":
        # The market did not order this: YARN has read older lists.
        return Verdict(JOINING, "is being admitted again", changes={"joined_ms": at_ms}, again=True)
    return _running(machine, node, at_ms)


def _offer_ms(machine: Machine) -> int:
    return _OFFER_MS if machine.own_address else _JOIN_MS


def _last_chance_ms(machine: Machine) -> int:
    """Return until when a machine may appear for the first time, however often its agent joins again."""
    until_its_hours_ms = _DAY_MS if machine.hours else 0
    return machine.created_ms + _offer_ms(machine) + _JOIN_MS + until_its_hours_ms


def lead_s(machine: Machine, settings: Settings) -> int:
    """Return how long before its lease's end a machine starts to drain."""
    return min(settings.machines.drain_timeout_s, machine.time_period_s // 2)


def drain_s(machine: Machine, settings: Settings, at_ms: int) -> int:
    """Return the seconds that YARN gives to a draining machine; they stay the same until they are over."""
    limit = lead_s(machine, settings)
    overdue = at_ms > (machine.drain_ms or at_ms) + limit * 1000 + _OVERTIME_MS
    return 0 if machine.drain_now or overdue else limit


def _in_hours(machine: Machine, settings: Settings, at_ms: int) -> bool:
    """Tell whether it is lent now; the drain before the hours end is not part of them."""
    if not machine.hours:
        return True
    ahead_ms = at_ms + lead_s(machine, settings) * 1000
    return all(hours.within(machine.hours, machine.time_zone, at) for at in (at_ms, ahead_ms))


def _outside_hours(machine: Machine, present: bool, at_ms: int) -> Verdict:
    if present:
        columns = {"drain_ms": at_ms, "drain_now": False, "rests": True}
        return Verdict(DRAINING, f"its hours ({machine.hours}) end", changes=columns)
    reason = f"lent from {machine.hours.replace('-', ' to ')} ({machine.time_zone})"
    return Verdict(RESTING, reason, label=None if machine.state == RESTING else "")


def _leaving(machine: Machine, present: bool) -> Verdict:
    if present:
        return Verdict(DRAINING, machine.reason)
    if machine.rests:
        return Verdict(RESTING, machine.reason, label="", changes={"rests": False, "drain_ms": None})
    return _left(machine.reason)


def _left(reason: str) -> Verdict:
    return Verdict(LEFT, reason, label="")


def _silent(machine: Machine, node: Node | None, at_ms: int, settling: bool) -> Verdict:
    late = at_ms - (machine.joined_ms or machine.created_ms) > _JOIN_MS
    if machine.active_ms is None and not settling and (late or at_ms > _last_chance_ms(machine)):
        return _left("its NodeManager did not appear within ten minutes")  # it holds its host no longer
    if machine.state == JOINING:
        if late and not settling:
            return Verdict(LOST, "its NodeManager did not appear within ten minutes")
        return Verdict(JOINING, machine.reason)
    if machine.state == LOST:
        return Verdict(LOST, machine.reason)
    if settling and node is None:
        return Verdict(machine.state, machine.reason)  # nodes report again within seconds
    how = node.state.lower() if node is not None else "unknown to the ResourceManager"
    return Verdict(LOST, f"its node is {how}")


def _running(machine: Machine, node: Node, at_ms: int) -> Verdict:
    offered, declared = (node.total_vcores, node.total_mib), (machine.core_count, machine.memory_mib)
    label = None if node.labels == (machine.machine_type,) else machine.machine_type
    columns = {} if machine.active_ms else {"active_ms": at_ms}
    if offered != declared and size_name(*offered) in machine.past_sizes:
        return Verdict(ACTIVE, label=label, changes=columns, resize=True)
    if offered != declared:
        reason = (
            f"declared {declared[0]} cores and {declared[1]} MiB, "
            f"but its NodeManager offers {offered[0]} cores and {offered[1]} MiB"
        )
        return Verdict(REJECTED, reason, label="")
    return Verdict(ACTIVE, label=label, changes=columns)


def _each_machine(work: str, machines: Iterable[Machine], do: Callable[[Machine], object]) -> None:
    isolation.each(work, machines, do, lambda machine: machine.machine_id, ends=(ClusterUnavailable,))


def _label(cluster: Cluster, wanted: Mapping[str, list[str]]) -> None:
    """Set nodes' labels: all at once, one by one where the ResourceManager refuses that."""
    if not wanted:
        return
    try:
        cluster.replace_labels(wanted)
    except ClusterRefused:
        isolation.each(
            "labelling nodes",
            wanted,
            lambda node_id: cluster.replace_labels({node_id: wanted[node_id]}),
            str,
            ends=(ClusterUnavailable,),
        )


def _keep(verdicts: Iterable[tuple[Machine, Verdict]], at_ms: int) -> None:
    """Write down what has changed, except where somebody changed a machine's state since it was read."""
    changed = [
        (machine, verdict)
        for machine, verdict in verdicts
        if verdict.state != machine.state or verdict.reason != machine.reason
    ]
    if not changed:
        return
    with database.transaction() as cursor:  # one for all: thousands of machines may change at once

        def write(one: tuple[Machine, Verdict]) -> None:
            machine, verdict = one
            columns: dict[str, Any] = {"state": verdict.state, "reason": verdict.reason, **verdict.changes}
            if verdict.state in (LEFT, REJECTED):
                columns["left_ms"] = at_ms
            if changes.update(cursor, machine, machine.state, **columns) and verdict.state == REJECTED:
                subject = f"{machine.display_name} ({machine.node_id})"
                alerts.raise_alert(cursor, alerts.WRONG_SIZE, subject, verdict.reason)

        isolation.each_within(cursor, "writing machines", changed, write, lambda one: one[0].machine_id)


def _note_admitted(machines: Iterable[Machine], include: Set[str]) -> None:
    """Write down whose hosts YARN lets in now: their agents wait for it before they start a NodeManager."""
    changed = [machine for machine in machines if machine.admitted != (machine.ip_address in include)]
    if changed:
        with database.transaction() as cursor:
            changes.save_admitted(cursor, changed, include)


def _empty(cluster: Cluster, strangers: Iterable[Node]) -> None:
    """Take all resources from nodes that nobody registered, also from further ones of a registered host."""

    def empty(node: Node) -> None:
        cluster.set_node_resource(node.node_id, 0, 0, timeout_ms=0)
        if node.labels:
            cluster.replace_labels({node.node_id: []})
        with database.transaction() as cursor:
            alerts.raise_alert(
                cursor,
                alerts.UNREGISTERED_NODE,
                node.node_id,
                f"A NodeManager that nobody registered offered {node.total_vcores} cores and "
                f"{node.total_mib} MiB; its resources were set to zero, and it gets no container.",
            )

    full = [
        node
        for node in strangers
        if node.state in _TAKES_WORK and (node.total_mib or node.total_vcores or node.labels)
    ]
    isolation.each("emptying nodes", full, empty, lambda node: node.node_id, ends=(ClusterUnavailable,))


def _make_labels(cluster: Cluster, settings: Settings) -> None:
    missing = sorted({*settings.types, POOL_LABEL} - set(cluster.labels()))
    if missing:
        cluster.add_labels(missing)
