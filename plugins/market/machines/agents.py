"""What agents ask of the market: whether their release fits, to join, and how their machine is."""

from __future__ import annotations

import asyncio
import hashlib
from itertools import islice
from typing import Any

from market.kit import clock, database, settings
from market.kit.errors import NotFoundError
from market.kit.money import format_credits
from market.machines import earnings, identities, queries, registry, release, waiting
from market.machines.machine import Machine
from market.machines.release import AgentRelease
from market.machines.waiting import Gone
from market.people.member import Member

# An api-server that is restarted finishes its answers first, and is killed after 20 s.
MOST_WAIT_S = 10


def handshake(agent: AgentRelease) -> dict[str, Any]:
    """Return the market's release to an agent that fits it. Raises MisfitError."""
    release.require(agent)
    market = release.expected()
    return {"api": release.API, "runtime": market.runtime, "python": market.python}


def classes() -> str:
    """Return the classes that jobs load, in that order, as many as `archived_classes`.

    The first line names the Java. Raises NotFoundError where an older setup left no list: an agent then
    finds them out itself.
    """
    loaded = settings.load()
    try:
        with loaded.paths.class_list.open() as lines:
            return "".join(islice(lines, 1 + loaded.machines.archived_classes))
    except FileNotFoundError:
        raise NotFoundError("this market has no list of the classes that jobs load") from None


def join(
    member: Member,
    machine_id: str,
    agent: AgentRelease,
    token: str,
    service_port: int,
    host_cores: int,
    host_memory: int,
) -> dict[str, Any]:
    """Take the one-time token of an agent that fits: the roster expects its NodeManager from now on.

    Return the same as a heartbeat. Raises MisfitError, NotFoundError, and ConflictError for a used token.
    """
    release.require(agent)
    registry.join(member, machine_id, token, service_port, host_cores, host_memory)
    return _pulse(member, machine_id)


async def heartbeat(
    member: Member, machine_id: str, agent: AgentRelease, known: str, wait_s: int, gone: Gone
) -> dict[str, Any]:
    """Return how a machine is, as soon as its version is another one than the `known`, or after `wait_s`.

    A machine whose release does not fit any more, since the market was upgraded, is drained, and its reason
    says what to do. `gone` tells whether the agent has stopped waiting. Raises NotFoundError.
    """
    pulse = await asyncio.to_thread(_checked_pulse, member, machine_id, agent)
    if wait_s <= 0 or pulse["version"] != known:
        return pulse
    await waiting.room(_versions).change(machine_id, known, min(wait_s, MOST_WAIT_S), gone)
    return await asyncio.to_thread(_pulse, member, machine_id)


def _checked_pulse(member: Member, machine_id: str, agent: AgentRelease) -> dict[str, Any]:
    reason = release.misfit(agent)
    if reason:
        with database.transaction() as cursor:
            machine = registry.own(cursor, member, machine_id, lock=True)
            if machine.live:
                registry.take_out(cursor, machine, reason)
    return _pulse(member, machine_id)


def _pulse(member: Member, machine_id: str) -> dict[str, Any]:
    with database.transaction() as cursor:
        machine = registry.own(cursor, member, machine_id)
        earned = earnings.earned_ucr(cursor, machine_id)
    return {
        "version": _version(machine),
        "availability": machine.state,
        "reason": machine.reason,
        "core_count": machine.core_count,
        "memory_size": machine.memory_mib,
        "remaining_s": max(0, (machine.lease_end_ms - clock.now_ms()) // 1000),
        "earned": format_credits(earned),
        "ticket": identities.ticket(settings.load(), machine),
        "admitted": machine.admitted,
        "encrypted": settings.load().wire_encryption,
    }


def _versions(machine_ids: set[str]) -> dict[str, str]:
    with database.transaction() as cursor:
        machines = queries.find_many(cursor, machine_ids)
    return {machine_id: _version(machine) for machine_id, machine in machines.items()}


def _version(machine: Machine) -> str:
    """Return a digest of what an agent acts upon."""
    size = (machine.core_count, machine.memory_mib)
    what = (machine.state, machine.reason, *size, machine.lease_end_ms, machine.admitted)
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]
