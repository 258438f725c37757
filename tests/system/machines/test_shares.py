"""Who gets how much of the pool: fair shares among users, and no more than was quoted."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import yarn_log
from agents import Agent
from people import Person, person, until

from market.cluster.clients import resource_manager
from market.kit import settings
from market.kit.money import parse_credits

pytestmark = pytest.mark.cluster

FOREVER = """
    import time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    while True:
        time.sleep(1)
"""
GREEDY = """
    import time
    from pyspark.sql import SparkSession
    # What it sets is put right before Spark reads it; asked for while it runs, YARN gives two in all.
    spark = SparkSession.builder.config("spark.executor.instances", "2").getOrCreate()
    print("more:", spark.sparkContext._jsc.sc().requestExecutors(2))
    while True:
        time.sleep(1)
"""


@pytest.fixture(scope="module", autouse=True)
def greedy(buyer: Person, machines: list[dict[str, Any]]) -> str:
    """Submit a program that asks for more than its job did; it is watched while the other test waits."""
    buyer.put("greedy/main.py", textwrap.dedent(GREEDY))
    return buyer.submit("greedy")


@pytest.fixture(scope="module")
def wide(lenders: Callable[..., Agent]) -> None:
    """Lend room for four executors of a type that nobody else uses meanwhile."""
    agents = [lenders(f"wide-{number}", kind="shared", cores=2) for number in (1, 2)]
    for agent in agents:
        agent.wait("active")


def containers(job_id: str) -> int:
    """Return how many containers a job has at YARN now, the driver's among them."""
    return sum(max(app.running_containers, 0) for app in resource_manager().apps(tags=[job_id]))


def reserved(stack: settings.Settings, job_id: str) -> list[str]:
    """Return the lines of the ResourceManager's log about what was reserved for a job."""
    job = resource_manager().apps(tags=[job_id])[0].application_id.removeprefix("application_")
    lines = (stack.paths.logs / "resourcemanager.log").read_text().splitlines()
    assert any("asynchronousScheduling=" in line for line in lines), "this is the scheduler's log"
    return [line for line in lines if f"container_{job}_" in line and line.endswith(" to RESERVED")]


def wanted() -> int:
    """Return how many cores of the wide machines jobs wait for."""
    found = resource_manager().partitions().get("shared")
    return found.pending_vcores if found else 0


@pytest.mark.usefixtures("wide")
def test_users_share_what_comes_free_however_many_jobs_each_has(stack: settings.Settings) -> None:
    busy, modest = person(stack, "busy"), person(stack, "modest")
    for one in (busy, modest):
        one.put("forever/main.py", textwrap.dedent(FOREVER))
    asked = {"machine_type": "shared", "max_credits": "0.500000"}
    first = busy.submit("forever", core_num=4, **asked)
    until(lambda: containers(first) == 5, "a job that has all machines")
    waiting = [busy.submit("forever", core_num=4, **asked) for _ in range(3)]
    until(lambda: wanted() == 12, "three jobs that wait for four cores each")
    last = modest.submit("forever", core_num=2, **asked)
    until(lambda: wanted() == 14, "the other's job, which waits behind them")
    assert busy.send("POST", f"/jobs/{first}/cancel").status_code == 202

    def shared() -> bool:
        *theirs, its = (containers(job_id) for job_id in (*waiting, last))
        return (sum(theirs), its) == (5, 3)

    # One may be given a core too many, which it hands back within a second: see yarn_log.ran.
    until(shared, "half of the machines for each user, not for each job", 60)
    assert not [line for job_id in (*waiting, last) for line in reserved(stack, job_id)]
    # What runs may turn out to be on a dead machine: a settlement would wait a minute for it.
    for owner, jobs in ((busy, waiting), (modest, [last])):
        for job_id in jobs:
            assert owner.send("POST", f"/jobs/{job_id}/cancel").status_code == 202
    until(lambda: not any(map(containers, (*waiting, last))), "the end of all of them", 30)


def test_a_program_that_takes_more_than_was_quoted_is_stopped_and_charged(
    stack: settings.Settings, buyer: Person, greedy: str
) -> None:
    job = buyer.ended(greedy)
    assert (job["status"], job["reason_code"]) == ("failed", "over_size"), job["reason"]
    assert "held 3 cores and 3072 MiB; quoted were 2 and 2048" in job["reason"]
    receipt = buyer.receipt(greedy)
    ran = yarn_log.ran(stack, job["application_id"])
    roles = Counter(line["role"] for line in receipt["containers"] if line["container_id"] in ran)
    assert roles == {"driver": 1, "executor": 2}
    assert {line["not_charged_because"] for line in receipt["containers"]} == {None}
    assert 0 < parse_credits(receipt["charge"]) <= parse_credits(job["hold"])
