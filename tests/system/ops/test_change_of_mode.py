"""A market whose `[security] mode` is changed goes on with all that it has.

It starts the stack twice and lends the machines of the other files anew, which takes minutes: only with
`MARKET_ACCIDENTS=all`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import whole_stack
from commands import market
from people import Person, known_to_all, until

from distributedmarket.client import MarketClient
from market.credits.settlement.steps import settle
from market.jobs.life.change_of_mode import REASON
from market.kit import clock, database, settings
from market.ops.cli import demo

_LONG = pytest.mark.skipif(
    os.environ.get("MARKET_ACCIDENTS") != "all", reason="takes long: MARKET_ACCIDENTS=all"
)
pytestmark = [pytest.mark.cluster, pytest.mark.alone, _LONG]

DRIVER_MIB = 9000
FOREVER = """
    import time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    while True:
        spark.range(1000).count()
        time.sleep(1)
"""
READS = """
    import os
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    lines = spark.read.text(os.environ["MARKET_INPUT"] + "/kept.txt")
    lines.repartition(2).write.text(os.environ["MARKET_OUTPUT"])
"""


@pytest.fixture
def own_mode(stack: settings.Settings) -> Iterator[str]:
    """The mode that this stack was started with, and has again in the end."""
    yield stack.security.mode
    if settings.load().security.mode != stack.security.mode:
        _change(stack.security.mode)


def _change(mode: str) -> str:
    """Change the market's mode as an operator does; return what `up` says."""
    market("down", "--force")
    whole_stack.configure(mode)
    said = market("up").stderr
    assert json.loads(market("status", "--json").stdout)["security"] == mode
    return said


def _lend(stack: settings.Settings) -> None:
    lender = known_to_all(stack, "lender")
    file = stack.paths.secrets / "test_lender_password"
    file.touch(mode=0o600)
    file.write_text(lender.password)
    demo.lend(settings.load(), lender.rest, lender.username, file)


def _again(stack: settings.Settings, person: Person) -> Person:
    login = MarketClient(stack.url("api")).login(person.username, person.password)
    return Person(person.username, person.user_id, person.password, login)


def _balance(person: Person) -> str:
    settle(clock.now_ms())
    credits: dict[str, Any] = person.rest.get(f"/users/{person.user_id}/credits")
    return str(credits["balance"])


def test_members_files_and_credits_are_carried_over_and_jobs_come_to_true_ends(
    stack: settings.Settings, own_mode: str, buyer: Person, program: Callable[[str], str]
) -> None:
    other = settings.SIMPLE if own_mode == settings.KERBEROS else settings.KERBEROS
    buyer.put("reads/main.py", program(READS))
    buyer.put("reads/kept.txt", "kept\n")
    buyer.put("forever/main.py", program(FOREVER))
    _change(other)
    buyer = _again(stack, buyer)
    _lend(stack)
    before = _balance(buyer)
    # One driver fills more than half of the pool's machine, so the next one waits at YARN.
    runs = buyer.submit("forever", driver_memory=DRIVER_MIB)
    buyer.in_status(runs, "running", 180)
    taken, waits = buyer.submit("reads", driver_memory=DRIVER_MIB), buyer.submit("reads", machine_type="gpu")
    buyer.in_status(taken, "accepted", 60)
    buyer.in_status(waits, "queued", 60)

    said = _change(own_mode)
    # Of the one that runs YARN may say before it stops itself that its machine is gone.
    assert re.search(r"before \[security\] changed, so ended and paid back: [12] runs", said), said
    buyer = _again(stack, buyer)
    ended = buyer.ended(taken, 120)
    assert (ended["status"], ended["reason_code"], ended["reason"]) == ("failed", "pool_failure", REASON)
    assert buyer.ended(runs, 120)["reason_code"] == "pool_failure"
    assert buyer.job(waits)["status"] == "queued", "nobody lends such a machine, in either mode"
    buyer.send("POST", f"/jobs/{waits}/cancel")
    assert buyer.rest.text("/files/reads/kept.txt") == "kept\n"
    for job_id in (runs, taken):
        buyer.receipt(job_id)
    until(lambda: _balance(buyer) == before, "what the job had paid, given back", 60)

    _lend(stack)
    job_id = buyer.submit("reads")
    assert buyer.ended(job_id)["status"] == "succeeded", buyer.log(job_id, file="stderr")
    buyer.receipt(job_id)
    with database.transaction() as cursor:
        cursor.execute("SELECT * FROM violations(false)")
        assert cursor.fetchall() == []
