"""The loops of the DAG `notifications`, as the triggerer runs them: from a commit to the message."""

from __future__ import annotations

import asyncio
import json
import runpy
import statistics
import time
from pathlib import Path

import pytest
from airflow.sdk import DAG
from ledger_world import World
from webhook_server import Receiver, receiver

from market.airflow.loops import LoopTrigger
from market.kit import database, settings
from market.notifications import channels, webhooks
from market.people.member import Member

pytestmark = pytest.mark.database
EVENTS, PEOPLE = 40, 4


@pytest.fixture
def members(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Member]:
    own = tmp_path / "market.toml"
    own.write_text('[notifications]\nwebhook_networks = "127.0.0.0/8"\n')
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / webhooks.KEY).write_text("0123456789abcdef" * 4)
    monkeypatch.setenv("MARKET_CONFIG", str(own))
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    made = [Member(world.member(), f"user{number}", "") for number in range(PEOPLE)]
    world.sql("DELETE FROM event")
    return made


def triggers(lasts_s: float) -> list[LoopTrigger]:
    dag: DAG = runpy.run_path(str(settings.ROOT / "dags" / "notifications.py"))["dag"]
    kwargs = [task.start_trigger_args.trigger_kwargs for task in dag.tasks]  # type: ignore[attr-defined]
    return [LoopTrigger(**{**one, "lasts_s": lasts_s}) for one in kwargs]


def happen(members: list[Member]) -> dict[int, float]:
    """Write events, each in a transaction of its own; return when each was committed."""
    committed = {}
    for number in range(EVENTS):
        with database.transaction() as cursor:
            cursor.execute(
                "SELECT event_write('grant', %s, NULL, NULL, %s)",
                [members[number % PEOPLE].user_id, json.dumps({"amount": number})],
            )
        committed[number] = time.time()
        time.sleep(0.25)
    return committed


def test_every_loop_of_the_dag_works_and_messages_arrive(members: list[Member]) -> None:
    async def all_of() -> dict[int, float]:
        loops = [asyncio.create_task(run(trigger)) for trigger in triggers(lasts_s=EVENTS * 0.25 + 20)]
        committed = await asyncio.to_thread(happen, members)
        await asyncio.to_thread(hook.wait_for, EVENTS, 60)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await asyncio.sleep(2)  # their threads end the pass that they are at
        return committed

    async def run(trigger: LoopTrigger) -> None:
        async for _ in trigger.run():
            pass

    hook: Receiver
    with receiver() as hook:
        for member in members:
            channels.add_webhook(member, hook.url, ["grant"])
        committed = asyncio.run(all_of())
        took = [message.at - committed[message.body["data"]["amount"]] for message in hook.messages]
    p95 = statistics.quantiles(took, n=20)[-1]
    print(f"from commit to delivery: median {statistics.median(took):.2f} s, p95 {p95:.2f} s")
    assert len({message.headers["webhook-id"] for message in hook.messages}) == EVENTS
    assert p95 <= 15  # of a busy machine; tests/system/jobs/test_told.py has the goal
