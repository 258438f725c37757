"""A running market tells its people what happens: a webhook hears of a job's start and end, and soon."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest
from people import Person, person, until
from webhook_server import Receiver, receiver

from market.credits import ledger
from market.kit import database, settings

pytestmark = pytest.mark.cluster
EVENTS = 40
GOAL_S = 5.0
PROGRAM = """
from pyspark.sql import SparkSession
assert SparkSession.builder.getOrCreate().range(10).count() == 10
"""


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def test_a_job_s_start_and_end_are_told_signed(
    stack: settings.Settings, machines: list[dict[str, Any]], hook: Receiver
) -> None:
    owner = person(stack, "told")
    made = add(owner, hook, "job_started", "job_ended", "job_failed")
    owner.put("told/main.py", PROGRAM)
    job_id = owner.submit("told", job_name="told")
    job = owner.ended(job_id)
    assert job["status"] == "succeeded", job
    until(lambda: [one for one in hook.messages if one.body["type"] == "job_ended"], "the message", 30)
    messages = list(hook.messages)
    assert {message.body["type"] for message in messages} <= {"job_started", "job_ended"}
    assert all(message.is_signed_with(made["secret"]) for message in messages)
    assert {message.body["data"]["job_id"] for message in messages} == {job_id}
    listed = owner.rest.get("/events")["events"]
    ids = {event["event_id"] for event in listed}
    assert {message.headers["webhook-id"] for message in messages} <= ids


@pytest.mark.alone
def test_it_takes_seconds_from_the_commit_to_the_message(stack: settings.Settings, hook: Receiver) -> None:
    owner = person(stack, "told")
    add(owner, hook, "grant")
    committed: dict[str, float] = {}
    for number in range(EVENTS):
        with database.transaction() as cursor:
            key = f"grant:{owner.user_id}:{owner.user_id}:{number}"
            ledger.grant(cursor, owner.user_id, 1, str(number), key)
        committed[str(number)] = time.time()
        time.sleep(0.5)

    def arrived() -> dict[str, float]:  # the opening grant may be among the messages
        return {message.body["data"]["reason"]: message.at for message in list(hook.messages)}

    until(lambda: committed.keys() <= arrived().keys(), "all messages", 60)
    took = [arrived()[reason] - at for reason, at in committed.items()]
    p95 = statistics.quantiles(took, n=20)[-1]
    print(f"from commit to delivery: median {statistics.median(took):.2f} s, p95 {p95:.2f} s")
    assert p95 <= GOAL_S


def add(owner: Person, hook: Receiver, *kinds: str) -> dict[str, Any]:
    """Have a person told of these kinds."""
    made: dict[str, Any] = owner.rest.post("/users/me/webhooks", {"url": hook.url, "kinds": list(kinds)})
    return made
