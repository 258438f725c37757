"""Whoever publishes and delivers is killed at every step: each event arrives, always with its one id."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import delivering_process
import pytest
from delivering_process import STEPS
from ledger_world import World
from webhook_server import receiver

from market.kit import database, settings
from market.notifications import channels
from market.people.member import Member

pytestmark = pytest.mark.database
Configure = Callable[..., None]
# 10 000 take some minutes: MARKET_TEST_EVENTS=10000 pytest -m database tests/notifications/test_kills.py
EVENTS = int(os.environ.get("MARKET_TEST_EVENTS", "400"))
PEOPLE = 5


def write(members: list[Member], first: int, last: int) -> None:
    """Write events, of which every tenth transaction is rolled back."""
    for number in range(first, last):
        with database.transaction() as cursor:
            cursor.execute(
                "SELECT event_write('grant', %s, NULL, NULL, jsonb_build_object('amount', %s::int))",
                [members[number % PEOPLE].user_id, number],
            )
        if number % 10 == 0:
            with suppress(RuntimeError), database.transaction() as cursor:
                cursor.execute("SELECT event_write('grant', %s, NULL, NULL, '{\"amount\": -1}')",
                               [members[0].user_id])  # fmt: skip
                raise RuntimeError


@pytest.mark.parametrize("seed", [1])
def test_none_is_lost_and_each_has_one_id(world: World, configure: Configure, seed: int) -> None:
    configure(webhook_networks="127.0.0.0/8")
    members = [Member(world.member(), f"user{number}", "") for number in range(PEOPLE)]
    world.sql("DELETE FROM event")
    kills: Counter[str] = Counter()
    with ExitStack() as stack:
        hooks = [stack.enter_context(receiver()) for _ in members]
        for member, hook in zip(members, hooks, strict=True):
            channels.add_webhook(member, hook.url, ["grant"])
        writer = threading.Thread(target=write, args=[members, 0, EVENTS])
        writer.start()
        steps, further = itertools.cycle(STEPS), itertools.count(EVENTS)
        until = time.monotonic() + 120 + EVENTS / 10
        while writer.is_alive() or _waiting(world) or len(kills) < len(STEPS):
            assert time.monotonic() < until, (kills, _waiting(world))
            left = [step for step in STEPS if not kills[step]]
            step, chance = next(steps), min(0.3, 20 / EVENTS)
            if left and not writer.is_alive():  # the rest needs no luck
                step, chance = left[0], 1.0
                if not _waiting(world):
                    number = next(further)
                    write(members, number, number + 1)
            process = _process(step, chance)
            try:
                _until(lambda process=process: process.poll() is not None or not (  # type: ignore[misc]
                    writer.is_alive() or _waiting(world)))  # fmt: skip
                if process.poll() is not None:
                    kills[step] += 1
            finally:
                process.kill()
                process.wait()
        writer.join()
        arrived = [(hook, message) for hook in hooks for message in hook.messages]
        ids: dict[int, set[str]] = {}
        for _, message in arrived:
            ids.setdefault(message.body["data"]["amount"], set()).add(message.headers["webhook-id"])
    stored = {
        row.n: row.event_id for row in world.sql("SELECT (data->>'amount')::int AS n, event_id FROM event")
    }
    assert -1 not in ids
    assert set(range(EVENTS)) <= set(ids) == set(stored)
    assert all(given == {stored[number]} for number, given in ids.items())
    assert world.one("SELECT count(*) FROM delivery WHERE outcome IS DISTINCT FROM 'delivered'") == 0
    print(f"{len(ids)} events, {len(arrived)} deliveries, killed: {dict(kills)}")


def _waiting(world: World) -> int:
    return int(
        world.one(
            "SELECT (SELECT count(*) FROM event WHERE position IS NULL)"
            " + (SELECT count(*) FROM delivery WHERE ended_ms IS NULL)"
        )
    )


def _process(step: str, chance: float) -> subprocess.Popen[bytes]:
    script = Path(delivering_process.__file__)
    path = os.pathsep.join([str(settings.ROOT / "plugins"), *sys.path])
    return subprocess.Popen(
        [sys.executable, str(script), step, str(chance)],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
    )


def _until(over: Callable[[], bool], within_s: float = 20) -> None:
    end = time.monotonic() + within_s
    while not over() and time.monotonic() < end:
        time.sleep(0.1)
