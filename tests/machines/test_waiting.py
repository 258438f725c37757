"""Agents that wait for their machines: woken by a change, and cheap while there is none."""

from __future__ import annotations

import asyncio
import threading
import time

import psycopg2
import pytest

from market.machines import waiting
from market.machines.waiting import WaitingRoom


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_TICK_S", 0.02)
    monkeypatch.setattr(waiting, "_GONE_S", 0.05)


async def here() -> bool:
    return False


class Machines:
    """Their versions; counts how often they are looked at."""

    def __init__(self, **versions: str) -> None:
        self.versions = versions
        self.looks: list[int] = []
        self.failures = 0

    def __call__(self, machine_ids: set[str]) -> dict[str, str]:
        self.looks.append(len(machine_ids))
        if self.failures:
            self.failures -= 1
            raise psycopg2.OperationalError("away")
        return {name: version for name, version in self.versions.items() if name in machine_ids}


def took(
    machines: Machines, *waits: tuple[str, str, float], after: float = 0.1, **changes: str
) -> list[float]:
    """Return how long each wait for (machine, version, seconds) took; changes come after some time."""

    async def all_of_them() -> list[float]:
        room, begin = WaitingRoom(machines), time.monotonic()

        async def one(machine_id: str, version: str, wait_s: float) -> float:
            await room.change(machine_id, version, wait_s, here)
            return time.monotonic() - begin

        asyncio.get_running_loop().call_later(after, lambda: machines.versions.update(changes))
        times = await asyncio.gather(*(one(*wait) for wait in waits))
        assert not room._waiters
        await asyncio.sleep(0.1)
        assert room._task is not None
        assert room._task.done(), "nothing runs when nobody waits"
        return times

    return asyncio.run(all_of_them())


def test_who_waits_is_woken_by_a_change_of_his_machine_alone() -> None:
    changed, same = took(Machines(a="1", b="1"), ("a", "1", 9), ("b", "1", 2.0), a="2")
    assert 0.1 <= changed < 1.5
    assert 2 <= same < 5


def test_a_machine_that_is_gone_is_a_change() -> None:
    assert took(Machines(), ("a", "1", 5))[0] < 1


def test_three_hundred_wait_with_one_look_at_a_time_and_no_thread_each() -> None:
    machines = Machines(**{f"m{number}": "1" for number in range(300)})
    before = threading.active_count()
    times = took(machines, *((f"m{number}", "1", 1.0) for number in range(300)))
    assert max(times) < 3
    assert max(machines.looks) == 300
    assert len(machines.looks) <= 60
    assert threading.active_count() - before <= 2


def test_a_database_that_is_away_for_a_moment_wakes_nobody() -> None:
    machines = Machines(a="1")
    machines.failures = 3
    assert 0.1 <= took(machines, ("a", "1", 5), a="2")[0] < 1


def test_nobody_waits_for_a_client_that_has_gone_away() -> None:
    async def gone() -> bool:
        return True

    async def wait() -> float:
        begin = time.monotonic()
        await WaitingRoom(Machines(a="1")).change("a", "1", 5, gone)
        return time.monotonic() - begin

    assert asyncio.run(wait()) < 1
