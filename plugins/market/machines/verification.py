"""Verification: a canary measures each lent machine, soon after it came and at random times later.

A machine takes jobs from its first moment; its stipend begins with its first good result. A canary runs on a
machine where nothing else runs, one at a time in all the market, and gives way when a job waits for machines
of its type.
"""

from __future__ import annotations

import logging
import random
import statistics
from typing import Any

from market.cluster.clients import resource_manager
from market.cluster.errors import ClusterUnavailable
from market.cluster.resourcemanager import Node, ResourceManager
from market.kit import alerts, audit, clock, database, isolation
from market.kit.errors import MarketError
from market.kit.settings import Settings, load
from market.kit.vocabulary import ACTIVE, DRAINING, GOOD, NONE, POOR
from market.machines import canary, changes, measurements, queries
from market.machines.canary import Measured
from market.machines.machine import Machine
from market.machines.measurements import MOST_TRUST, Open, Speeds

log = logging.getLogger(__name__)

LOCK = "market.machines.verification"
_WAITING_MS = 600_000  # a job that has waited longer waits for something else than this machine
_MISSING_MS = 30_000  # what was submitted is known to the ResourceManager by then
_AGAIN_S = 300  # after a canary that measured nothing, or a poor result
_POOR_RESULTS = 3  # in a row; fewer may be chance, or the owner's own work


def run_pass() -> None:
    """Follow the canary that is on its way, or start one. Raises ClusterUnavailable; the next goes on."""
    loaded = load()
    if not loaded.machines.verify:
        return
    at_ms = clock.now_ms()
    with database.transaction() as cursor:
        measurements.count_losses(cursor, at_ms)
        running = measurements.open_one(cursor)
    if running is not None:
        yarn = resource_manager()
        # While one is on its way no other machine is measured: so it comes to an end, whatever it says.
        isolation.each(
            "following canaries",
            [running],
            lambda canary: _follow(yarn, loaded, canary, at_ms),
            lambda canary: canary.verification_id,
            lambda canary, why: _end(loaded, canary, NONE, why[:300], None),
            ends=(ClusterUnavailable,),
        )
    else:
        _start(resource_manager(), loaded, at_ms)


def judge(
    machine: Machine, cores: int, measured: Measured, former_speed: int, min_percent: int
) -> tuple[str, str]:
    """Return the outcome of a measurement, and why.

    `cores` were measured; `former_speed` is the median of good results, 0 if there is none. The measure of
    a machine is itself: all cores at once against one alone. Only several poor results in a row have
    consequences.
    """
    if measured.host != machine.ip_address:
        return NONE, f"it ran on another machine ({measured.host or 'several'})"
    if not measured.in_time:
        return NONE, "its parts did not start together"
    if measured.host_cores < machine.core_count or measured.host_memory_mib < machine.memory_mib:
        return POOR, (
            f"declared {machine.core_count} cores and {machine.memory_mib} MiB, "
            f"but its system has {measured.host_cores} cores and {measured.host_memory_mib} MiB"
        )
    speeds = measured.speeds
    if speeds.all_cores * 100 < speeds.one_core * cores * min_percent:
        delivered = speeds.all_cores / speeds.one_core
        return POOR, f"of {cores} cores it delivered {delivered:.1f}"
    if speeds.one_core * 100 < former_speed * min_percent:
        return POOR, f"its cores run at {speeds.one_core * 100 // former_speed} % of their former speed"
    return GOOD, ""


def _start(yarn: ResourceManager, loaded: Settings, at_ms: int) -> None:
    with database.transaction() as cursor:
        machines = [
            machine
            for machine in measurements.due(cursor, at_ms, loaded.machines.verify_after_s * 1000)
            if not measurements.somebody_waits(cursor, machine.machine_type, at_ms - _WAITING_MS)
        ]
    if not machines:
        return
    nodes = {node.node_id: node for node in yarn.nodes("RUNNING")}
    for machine in machines:
        node = nodes.get(machine.node_id)
        if node is not None and not node.containers and node.labels == (machine.machine_type,):
            _submit(loaded, machine, [other for other in nodes.values() if _rivals(other, machine)], at_ms)
            return


def _rivals(node: Node, machine: Machine) -> bool:
    return node.host != machine.ip_address and machine.machine_type in node.labels


def _submit(loaded: Settings, machine: Machine, rivals: list[Node], at_ms: int) -> None:
    shape = canary.shape(machine, loaded.jobs.max_cores)
    with database.transaction() as cursor:
        started = measurements.begin(cursor, machine.machine_id, shape.cores, at_ms)
    if started is None:
        return
    try:
        canary.submit(started, machine, shape, {node.host for node in rivals})
    except MarketError as error:
        _end(loaded, started, NONE, error.detail[:300], None)


def _follow(yarn: ResourceManager, loaded: Settings, running: Open, at_ms: int) -> None:
    age_ms = at_ms - running.started_ms
    with database.transaction() as cursor:
        machine = queries.find(cursor, running.machine_id)
        assert machine is not None
        waits = measurements.somebody_waits(cursor, machine.machine_type, at_ms - _WAITING_MS)
    app = next(iter(yarn.apps(tags=[running.tag])), None)
    if app is None:
        if age_ms > _MISSING_MS:
            _end(loaded, running, NONE, "the ResourceManager does not know it", None)
        return
    if not app.ended:
        overdue = age_ms > loaded.machines.verify_timeout_s * 1000
        if waits or overdue or machine.state != ACTIVE:
            yarn.kill(app.application_id)
            why = "it gave way to a job" if waits else "it took too long" if overdue else "the machine leaves"
            _end(loaded, running, NONE, why, None)
        return
    _conclude(loaded, running, machine)


def _conclude(loaded: Settings, running: Open, machine: Machine) -> None:
    measured = canary.result(running)
    if measured is None:
        _end(loaded, running, NONE, "it ended without a result", None)
        return
    with database.transaction() as cursor:
        former = measurements.former_speed(cursor, machine.machine_id)
        disturbed = audit.any_since(cursor, audit.UNKNOWN_APPLICATION, running.started_ms)
    percent = loaded.machines.verify_min_percent
    outcome, why = judge(machine, running.core_count, measured, former, percent)
    if outcome == POOR and disturbed:  # which may have run there as well: no machine is blamed for that
        outcome, why = NONE, f"an application that nobody knew ran meanwhile, and {why}"
    _end(loaded, running, outcome, why, measured.speeds)


def _end(loaded: Settings, running: Open, outcome: str, why: str, speeds: Speeds | None) -> None:
    """Write an outcome down, with what follows for the machine."""
    at_ms, settings = clock.now_ms(), loaded.machines
    with database.transaction() as cursor:
        machine = changes.lock(cursor, running.machine_id)
        assert machine is not None
        measurements.end(cursor, running, outcome, why, speeds, at_ms)
        poor = outcome == POOR and measurements.poor_ones(cursor, machine.machine_id) >= _POOR_RESULTS
        columns: dict[str, Any] = {"verify_due_ms": at_ms + _AGAIN_S * 1000}
        if outcome == GOOD:
            trust = min(MOST_TRUST, machine.trust + 1)
            pause_ms = settings.verify_every_s * 1000 * (1 + trust) // 2
            due = at_ms + round(pause_ms * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            columns = {"verify_due_ms": due, "trust": trust, "verified_ms": at_ms}
        elif outcome == POOR:
            columns |= {"trust": 0}
        if poor:
            columns |= {"verified_ms": None}
            if machine.state == ACTIVE:
                reason = f"drained: measured {_POOR_RESULTS} times, {why}"
                columns |= {"state": DRAINING, "drain_ms": at_ms, "drain_now": False, "reason": reason}
            subject = f"{machine.display_name} ({machine.node_id})"
            alerts.raise_alert(
                cursor, alerts.POOR_MACHINE, subject, f"Measured {_POOR_RESULTS} times: {why}."
            )
        changes.update(cursor, machine, machine.state, **columns)
    try:
        canary.forget(running)
    except MarketError as error:
        log.warning("the folder of canary %s stays: %s", running.verification_id, error.detail)
    log.info("canary on %s: %s %s", running.machine_id, outcome, why)


def summary(records: list[dict[str, Any]]) -> dict[str, int | None]:
    """Return what the last good results of a machine come to: medians, None where there is none."""
    good = [record for record in records if record["outcome"] == GOOD][:MOST_TRUST]
    names = ("core_speed", "speed", "memory_speed")
    return {
        name: round(statistics.median(record[name] for record in good)) if good else None for name in names
    }
