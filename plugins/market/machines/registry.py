"""Registration of machines: what owners may ask for. The roster makes it true in YARN, not a web request."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from market.cluster.clients import resource_manager
from market.credits import price
from market.hadoop import node_config
from market.hadoop.site import POOL_LABEL
from market.kit import audit, clock, database
from market.kit.errors import BadInputError, ConflictError, NotFoundError, OverLimitError
from market.kit.money import format_credits, parse_credits
from market.kit.paging import Listing, Page
from market.kit.settings import load
from market.kit.vocabulary import (
    ACTIVE,
    DRAINING,
    JOINING,
    LEFT,
    LOST,
    MACHINE_STATES,
    MACHINE_STAYING,
    OFFERED,
    RESTING,
)
from market.machines import addresses, changes, claims, measurements, queries
from market.machines.machine import Machine
from market.people import limits, suspension
from market.people.member import Member

POOL_TYPE = POOL_LABEL
DEFAULT_PORT = 8041
_BETWEEN_MEASUREMENTS_S = 60


def register(member: Member, body: Mapping[str, Any], client_address: str = "") -> dict[str, Any]:
    """Register a machine as `offered`; `body` is what MachineRequestSchema loaded.

    Return `{status, machine_id, join}`; `join` holds the one-time token and the NodeManager's configuration.
    Raises BadInputError for an address that cannot be the machine's, ConflictError if the host is lent
    already, OverLimitError for more machines than a member may lend, or if no local address is left.
    """
    limits.machine(member.user_id)
    machine_id, token = clock.new_id(), secrets.token_urlsafe(32)
    with database.transaction() as cursor:
        suspension.refuse_act(cursor, member.user_id)
        place = addresses.place(cursor, body.get("ip_address"), client_address)
        claims.check(cursor, member, place)
        machine = _machine(machine_id, member.user_id, body["machine_type"], place.address, body, token)
        machine = replace(machine, own_address=place.own)
        changes.insert(cursor, machine)
    return _joining(machine, token)


def register_pool(address: str, port: int, cores: int, memory_mib: int) -> Machine:
    """Register the pool's own machine, which joins at once; again: return the same one if it still fits."""
    size = {
        "core_count": cores,
        "memory_size": memory_mib,
        "time_period": load().machines.max_time_period_s,
        "service_port": port,
        "name": POOL_TYPE,
    }
    with database.transaction() as cursor:
        for machine in queries.live(cursor):
            if machine.user_id is not None or machine.ip_address != address:
                continue
            if (machine.core_count, machine.memory_mib) == (cores, memory_mib) and machine.state != DRAINING:
                _join(cursor, machine, port)
                return machine
            changes.update(
                cursor, machine, machine.state, state=LEFT, left_ms=clock.now_ms(), reason="replaced"
            )
        new = _machine(clock.new_id(), None, POOL_TYPE, address, size, "")
        changes.insert(cursor, new)
        _join(cursor, new, port)
    return new


def resume(member: Member, machine_id: str) -> dict[str, Any]:
    """Give the agent of a live machine a new token, after a restart: the same answer as `register`.

    Raises NotFoundError, and ConflictError if the machine drains or has left.
    """
    token = secrets.token_urlsafe(32)
    with database.transaction() as cursor:
        machine = own(cursor, member, machine_id, lock=True)
        if machine.state not in MACHINE_STAYING or machine.lease_end_ms <= clock.now_ms():
            raise ConflictError("This machine's lease has ended or is ending. Lend it anew.")
        changes.update(cursor, machine, machine.state, token_sha256=_digest(token))
    return _joining(machine, token)


def join(
    member: Member,
    machine_id: str,
    token: str,
    service_port: int | None = None,
    host_cores: int | None = None,
    host_memory: int | None = None,
) -> dict[str, Any]:
    """Take the one-time token: from now on the roster expects and admits the NodeManager.

    `host_cores` and `host_memory` (MiB) are what the host has: the machine may be resized up to them.
    Return the machine's record. Raises NotFoundError, and ConflictError for a token that is wrong or used.
    """
    with database.transaction() as cursor:
        machine = own(cursor, member, machine_id, lock=True)
        known = machine.token_sha256 or ""
        if not secrets.compare_digest(known, _digest(token)) or machine.state not in MACHINE_STAYING:
            raise ConflictError("This token is not valid, or was used. Start the agent again for a new one.")
        _join(cursor, machine, service_port or machine.service_port)
        if host_cores and host_memory:
            changes.update(cursor, machine, JOINING, host_cores=host_cores, host_memory_mib=host_memory)
        return queries.record(cursor, machine_id)


def resize(
    member: Member, machine_id: str, core_count: int | None = None, memory_size: int | None = None
) -> dict[str, Any]:
    """Change what is lent (cores, MiB) while the machine runs; what runs there may end first.

    Return the machine's record. The roster tells YARN within seconds. Raises NotFoundError, ConflictError for
    a machine that leaves or is the pool's, BadInputError for more than the host has.
    """
    with database.transaction() as cursor:
        machine = visible(cursor, member, machine_id, lock=True)
        if machine.user_id is None:
            raise ConflictError(
                "The size of the pool's own machine is a setting: [pool] in config/market.toml."
            )
        _refuse_unless_own(machine, member)
        if machine.state not in MACHINE_STAYING:
            raise ConflictError(f"This machine has state {machine.state}: it cannot be resized any more.")
        cores, memory = core_count or machine.core_count, memory_size or machine.memory_mib
        _refuse_more_than_the_host_has(machine, cores, memory)
        if (cores, memory) != (machine.core_count, machine.memory_mib):
            columns: dict[str, Any] = {
                "core_count": cores,
                "memory_mib": memory,
                "past_sizes": list(dict.fromkeys([*machine.past_sizes, machine.size])),
            }
            if cores > machine.core_count or memory > machine.memory_mib:
                columns |= {"verified_ms": None, "verify_due_ms": None}  # what is new was never measured
            changes.update(cursor, machine, machine.state, **columns)
        return queries.record(cursor, machine_id)


def _refuse_more_than_the_host_has(machine: Machine, cores: int, memory_mib: int) -> None:
    """Raise BadInputError; a host of unknown size has as much as was ever lent of it."""
    past = [tuple(map(int, size.split("x"))) for size in (*machine.past_sizes, machine.size)]
    most_cores = machine.host_cores or max(size[0] for size in past)
    most_memory = machine.host_memory_mib or max(size[1] for size in past)
    wrong = {}
    if cores > max(most_cores, machine.core_count):
        wrong["core_count"] = [f"this machine has {most_cores} cores"]
    if memory_mib > max(most_memory, machine.memory_mib):
        wrong["memory_size"] = [f"this machine has {most_memory} MiB"]
    if wrong:
        raise BadInputError(wrong)


def get(member: Member, machine_id: str) -> dict[str, Any]:
    """Return a machine's record to its owner or an admin. Raises NotFoundError."""
    with database.transaction() as cursor:
        visible(cursor, member, machine_id)
        return queries.record(cursor, machine_id)


def list_own(member: Member, page: Page) -> Listing[dict[str, Any]]:
    """Return a member's machines, all that he ever lent."""
    with database.transaction() as cursor:
        return queries.records(cursor, member.user_id, page)


def list_all(
    admin: Member, page: Page, states: Sequence[str] = MACHINE_STATES, owner: str = ""
) -> Listing[dict[str, Any]]:
    """Return everybody's machines and the pool's own, with owners; `owner` is how a name begins.

    Raises RoleMissingError to all but administrators.
    """
    admin.require_admin()
    with database.transaction() as cursor:
        return queries.all_records(cursor, page, states, owner)


def list_market(page: Page) -> Listing[dict[str, Any]]:
    """Return the lent machines in the pool, without addresses and owners."""
    with database.transaction() as cursor:
        return queries.market_records(cursor, page)


def leave(member: Member, machine_id: str, now: bool = False, reason: str = "") -> dict[str, str]:
    """Have a machine drained and taken out, `now` without waiting for what runs on it; return its state.

    A second call changes nothing, except that it may add `now`. The owner reads the `reason` that an
    administrator gives. Raises NotFoundError.
    """
    with database.transaction() as cursor:
        machine = visible(cursor, member, machine_id, lock=True)
        whose = "its owner" if machine.user_id == member.user_id else "an administrator"
        words = f": {reason}" if reason else ""
        state = take_out(cursor, machine, f"removed by {whose}{words}", now)
        if machine.user_id != member.user_id:
            detail = f"took {machine.display_name} out of the pool{words}"
            audit.write(cursor, audit.ADMINISTRATION, member.username, machine_id, detail)
    return {"status": state, "machine_id": machine_id}


def leave_all(user_id: str, reason: str) -> int:
    """Have all live machines of a member drained, for a reason that he is told; return how many there are."""
    with database.transaction() as cursor:
        found = queries.live_of(cursor, user_id)
    for machine_id in found:
        with database.transaction() as cursor:
            machine = changes.lock(cursor, machine_id)
            if machine is not None:
                take_out(cursor, machine, reason)
    return len(found)


def take_out(cursor: database.Cursor, machine: Machine, reason: str, now: bool = False) -> str:
    """Begin to take a machine out of the pool, for a reason that its owner is told; return its new state.

    The caller holds the lock of the machine's row. A machine that drains goes on draining; `now` may be
    added.
    """
    at, state = clock.now_ms(), machine.state
    if state in (OFFERED, RESTING):  # no NodeManager of it is admitted
        changes.update(cursor, machine, state, state=LEFT, left_ms=at, reason=reason)
        return LEFT
    if state in (JOINING, ACTIVE, LOST):
        columns = {"state": DRAINING, "drain_ms": at, "drain_now": now, "reason": reason}
        changes.update(cursor, machine, state, **columns)
        return DRAINING
    if state == DRAINING and (now or machine.rests):
        changes.update(
            cursor, machine, DRAINING, drain_now=now or machine.drain_now, rests=False, reason=reason
        )
    return state


def verifications(member: Member, machine_id: str) -> list[dict[str, Any]]:
    """Return what canaries measured on a machine, newest first. Raises NotFoundError."""
    with database.transaction() as cursor:
        visible(cursor, member, machine_id)
        return measurements.records(cursor, machine_id)


def verify(member: Member, machine_id: str) -> dict[str, Any]:
    """Have a machine measured as soon as nothing runs on it; return its record.

    Raises NotFoundError, ConflictError if it is not active, OverLimitError if it was measured a moment ago.
    """
    with database.transaction() as cursor:
        machine = visible(cursor, member, machine_id, lock=True)
        if machine.state != ACTIVE or machine.user_id is None:
            raise ConflictError("Only a lent machine that is active can be measured.")
        wait_s = _BETWEEN_MEASUREMENTS_S - (clock.now_ms() - measurements.last_ms(cursor, machine_id)) // 1000
        if wait_s > 0:
            raise OverLimitError("This machine was measured a moment ago.", retry_after_s=wait_s)
        changes.update(cursor, machine, ACTIVE, verify_due_ms=0)
        return queries.record(cursor, machine_id)


def metadata() -> dict[str, Any]:
    """Return capacity, use, waiting demand and price for each machine type.

    Memory in MiB; `price` is credits for a core and hour at the current rate. Raises ClusterUnavailable.
    """
    partitions = resource_manager().partitions()
    rate = str(price.current()["rate"])
    with database.transaction() as cursor:
        active = queries.active_by_type(cursor)
    info: dict[str, dict[str, Any]] = {}
    for name, line in load().types.items():
        part = partitions.get(name)
        cores, used = (part.total_vcores, part.used_vcores) if part else (0, 0)
        memory, memory_used = (part.total_mib, part.used_mib) if part else (0, 0)
        info[name] = {
            "machines": active.get(name, 0),
            "cores": cores,
            "cores_used": used,
            "cores_free": cores - used,
            "cores_waiting": part.pending_vcores if part else 0,
            "memory": memory,
            "memory_used": memory_used,
            "memory_free": memory - memory_used,
            "memory_waiting": part.pending_mib if part else 0,
            "weight": format_credits(line.weight_micro),
            "price": format_credits(parse_credits(rate) * line.weight_micro // 1_000_000),
            "rate": rate,
        }
    return {"machine_info": info}


def _machine(
    machine_id: str, user_id: str | None, kind: str, address: str, body: Mapping[str, Any], token: str
) -> Machine:
    at = clock.now_ms()
    return Machine(
        machine_id=machine_id,
        user_id=user_id,
        machine_type=kind,
        display_name=body.get("name") or f"{kind}-{machine_id[:6]}",
        ip_address=address,
        service_port=body.get("service_port") or DEFAULT_PORT,
        core_count=body["core_count"],
        memory_mib=body["memory_size"],
        time_period_s=body["time_period"],
        state=OFFERED,
        reason="",
        token_sha256=_digest(token) if token else None,
        created_ms=at,
        active_ms=None,
        drain_ms=None,
        drain_now=False,
        left_ms=None,
        lease_end_ms=at + body["time_period"] * 1000,
        hours=body.get("hours", ""),
        time_zone=body.get("time_zone", "UTC"),
    )


def _join(cursor: database.Cursor, machine: Machine, port: int) -> None:
    columns = {"state": JOINING, "reason": "", "service_port": port, "joined_ms": clock.now_ms()}
    changes.update(cursor, machine, machine.state, token_sha256=None, **columns)


def _joining(machine: Machine, token: str) -> dict[str, Any]:
    return {
        "status": machine.state,
        "machine_id": machine.machine_id,
        "join": {
            "token": token,
            "ip_address": machine.ip_address,
            "service_port": machine.service_port,
            "core_count": machine.core_count,
            "memory_size": machine.memory_mib,
            "lease_end": machine.lease_end_ms,
            "drain_timeout": load().machines.drain_timeout_s,
            "files": node_config.shared_files(load(), machine.core_count, machine.memory_mib),
        },
    }


def visible(cursor: database.Cursor, member: Member, machine_id: str, lock: bool = False) -> Machine:
    """Return a machine to its owner or an admin, with `lock` for a change of it. Raises NotFoundError."""
    machine = changes.lock(cursor, machine_id) if lock else queries.find(cursor, machine_id)
    if machine is None or not (machine.user_id == member.user_id or member.is_admin):
        raise NotFoundError("There is no such machine.")
    return machine


def own(cursor: database.Cursor, member: Member, machine_id: str, lock: bool = False) -> Machine:
    """Return a machine that is the member's own: administrators may look at others', not have their tokens.

    Raises NotFoundError.
    """
    machine = visible(cursor, member, machine_id, lock)
    _refuse_unless_own(machine, member)
    return machine


def _refuse_unless_own(machine: Machine, member: Member) -> None:
    if machine.user_id != member.user_id:
        raise NotFoundError("There is no such machine.")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
