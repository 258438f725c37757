"""Agents that wait for their machines to change, at the price of one query for all of them together.

A waiting agent holds neither a thread nor a connection to the database. While any agent waits, one task reads
the versions of all their machines, a few times a second, and wakes the agents whose machines have changed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import psycopg2

from market.kit.errors import MarketError

log = logging.getLogger(__name__)

# Machine ids -> the versions of those that exist.
Versions = Callable[[set[str]], Mapping[str, str]]
Gone = Callable[[], Awaitable[bool]]

_TICK_S = 0.5
_GONE_S = 1.0  # how often it is checked that a waiting client is still there


@dataclass(eq=False)
class _Waiter:
    machine_id: str
    version: str
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class WaitingRoom:
    """Those who wait in one event loop."""

    def __init__(self, versions_of: Versions) -> None:
        self._versions_of = versions_of
        self._waiters: set[_Waiter] = set()
        self._task: asyncio.Task[None] | None = None

    async def change(self, machine_id: str, version: str, wait_s: float, gone: Gone) -> None:
        """Return when a machine is no longer of this version, when the time is over, or when nobody waits."""
        waiter = _Waiter(machine_id, version)
        self._waiters.add(waiter)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        until = time.monotonic() + wait_s
        try:
            while (left := until - time.monotonic()) > 0:
                try:
                    await asyncio.wait_for(waiter.changed.wait(), min(left, _GONE_S))
                    return
                except TimeoutError:
                    if await gone():
                        return
        finally:
            self._waiters.discard(waiter)

    async def _watch(self) -> None:
        while self._waiters:
            await asyncio.sleep(_TICK_S)
            waiters = list(self._waiters)
            try:
                versions = await asyncio.to_thread(
                    self._versions_of, {waiter.machine_id for waiter in waiters}
                )
            except (psycopg2.Error, MarketError) as error:  # the agents see it in their next request
                log.warning("the machines that agents wait for could not be read: %s", error)
                continue
            for waiter in waiters:
                if versions.get(waiter.machine_id) != waiter.version:
                    waiter.changed.set()


_rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, WaitingRoom] = WeakKeyDictionary()


def room(versions_of: Versions) -> WaitingRoom:
    """Return the waiting room of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _rooms:
        _rooms[loop] = WaitingRoom(versions_of)
    return _rooms[loop]
