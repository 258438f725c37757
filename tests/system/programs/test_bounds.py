"""Programs that leave processes behind, print without end and fill the disk, on the real stack."""

from __future__ import annotations

import json
import secrets
import textwrap
from typing import Any

import pytest
from commands import market
from leavings import KINDS, PROGRAM, marked
from people import Person, until

from market.kit import settings

pytestmark = pytest.mark.cluster

MARK = f"left-{secrets.token_hex(6)}"
LEAVES = (
    PROGRAM
    + f"""
import time
from pyspark.sql import SparkSession

context = SparkSession.builder.getOrCreate().sparkContext
leave("{MARK}", "driver")
context.parallelize([0], 1).foreach(lambda _: leave("{MARK}", "executor"))
time.sleep(4)
print("main is over", flush=True)
"""
)
NOISE = """
import os, sys, time
from pyspark.sql import SparkSession
SparkSession.builder.getOrCreate()
while True:
    os.write(1, b"x" * (1 << 20))
    time.sleep(0.01)
"""
HOARD = """
import tempfile, time
from pyspark.sql import SparkSession
SparkSession.builder.getOrCreate()
with tempfile.TemporaryFile() as file:
    while True:
        file.write(bytes(1 << 20))
        time.sleep(0.005)
"""
# The same in an executor, which Spark would replace.
SPREADS = """
from pyspark.sql import SparkSession

def hoard(_):
    import tempfile, time
    with tempfile.TemporaryFile() as file:
        while True:
            file.write(bytes(1 << 20))
            time.sleep(0.005)

SparkSession.builder.getOrCreate().sparkContext.parallelize([0], 1).foreach(hoard)
"""


@pytest.fixture(scope="module")
def jobs(stack: settings.Settings, buyer: Person, machines: list[dict[str, Any]]) -> dict[str, str]:
    """Submit all of them at once."""
    programs = {"leaves": LEAVES, "noise": NOISE, "hoard": HOARD, "spreads": SPREADS}
    for name, program in programs.items():
        buyer.put(f"bounds-{name}/main.py", textwrap.dedent(program))
    return {name: buyer.submit(f"bounds-{name}") for name in programs}


def test_no_process_of_a_job_lives_after_it(buyer: Person, jobs: dict[str, str]) -> None:
    until(lambda: len(marked(MARK)) == 2 * KINDS, "driver and executor have left what they leave", 180)
    job = buyer.ended(jobs["leaves"])
    until(lambda: not marked(MARK), f"the end of {marked(MARK)}", 10)
    assert job["status"] == "succeeded", job
    assert "main is over" in buyer.log(jobs["leaves"])


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("noise", "log_limit", "more than 48 MiB"),
        ("hoard", "disk_limit", "more than 384 MiB"),
        ("spreads", "disk_limit", "more than 384 MiB"),
    ],
)
def test_who_fills_a_disk_is_stopped_with_a_reason_and_charged(
    buyer: Person, jobs: dict[str, str], name: str, code: str, words: str
) -> None:
    job = buyer.ended(jobs[name])
    assert (job["status"], job["reason_code"]) == ("failed", code), job
    assert words in job["reason"]
    receipt = buyer.receipt(jobs[name])
    assert float(receipt["charge"]) > 0
    executors = [line for line in receipt["containers"] if line["role"] == "executor"]
    assert len(executors) <= 1, "none in the place of the one that was stopped"


def test_status_says_what_keeps_a_machine_s_containers_together(
    stack: settings.Settings, machines: list[dict[str, Any]]
) -> None:
    details = {
        one["name"]: one["detail"] for one in json.loads(market("status", "--json").stdout)["services"]
    }
    for name in ("pool", *(one["display_name"] for one in machines)):
        assert "each container in" in details[name], name
