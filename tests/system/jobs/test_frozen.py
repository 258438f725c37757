"""A triggerer that stands still, and a program that takes its time: neither ends a job.

`MARKET_ACCIDENTS=all` also lets a second triggerer take over, and the first one wake.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from people import Person, until

from market.cluster.clients import ended_applications, resource_manager
from market.kit import deadlines, settings
from market.ops.run import leftovers
from market.ops.run.services import all_services, environment
from market.ops.run.supervisor import Supervisor

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

# Longer than YARN's drivers may be silent elsewhere, and than its own default in tests of others.
PREPARES_S = 75
PREPARES = f"""
import time
time.sleep({PREPARES_S})
from pyspark.sql import SparkSession
assert SparkSession.builder.getOrCreate().range(10).count() == 10
"""
NO_SESSION = "import time\ntime.sleep(600)\n"
Dedent = Callable[[str], str]


def group(stack: settings.Settings) -> list[int]:
    """Return the processes of the triggerer, its runner among them."""
    leader = leftovers.leader(stack.paths.state, "triggerer")
    return [pid for pid in leftovers.find(stack.paths.state) if leftovers._group(pid) == leader]


def freeze(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def triggers(stack: settings.Settings) -> dict[int | None, int]:
    """Return how many triggers each triggerer has."""
    connection = psycopg2.connect(stack.database_url("airflow"))
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT triggerer_id, count(*) FROM trigger GROUP BY 1")
        found = dict(cursor.fetchall())
    connection.close()
    return found


def test_a_frozen_triggerer_is_replaced_and_a_program_may_prepare_for_long(
    stack: settings.Settings, buyer: Person, machines: list[dict[str, Any]]
) -> None:
    buyer.put("prepares/main.py", PREPARES)
    buyer.put("no_session/main.py", NO_SESSION)
    slow, endless = buyer.submit("prepares"), buyer.submit("no_session", max_duration=30)
    for job_id in (slow, endless):
        buyer.in_status(job_id, "running")
    frozen = group(stack)
    assert len(frozen) >= 2
    freeze(frozen)
    began = time.monotonic()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in frozen), "their end", 40)
    assert time.monotonic() - began < deadlines.NOTICED.seconds(stack)
    print(f"frozen processes gone after {time.monotonic() - began:.1f} s")
    job = buyer.ended(endless)
    print(f"the watch is back after {time.monotonic() - began:.1f} s at most")
    assert (job["status"], job["reason_code"]) == ("failed", "max_duration")
    assert resource_manager().app(job["application_id"]).state == "KILLED"  # type: ignore[union-attr]
    job = buyer.ended(slow)
    assert (job["status"], job["reason"]) == ("succeeded", "")
    assert job["duration"] > PREPARES_S * 1000, "it is there from its container's start on"
    known = resource_manager().app(job["application_id"])
    summed = ended_applications().by_id([job["application_id"]])[job["application_id"]]
    assert known is not None
    for name in ("state", "final_status", "user", "finished_ms", "started_ms", "memory_seconds"):
        assert getattr(summed, name) == getattr(known, name)
    assert set(summed.tags) == set(known.tags)


@contextmanager
def second_triggerer(stack: settings.Settings) -> Iterator[None]:
    service = next(one for one in all_services(stack) if one.name == "triggerer")
    with (stack.paths.logs / "second-triggerer.log").open("w") as log:
        process = subprocess.Popen(
            service.command(stack),
            env=environment(stack, service),
            cwd=stack.paths.run,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.skipif(os.environ.get("MARKET_ACCIDENTS") != "all", reason="takes long: MARKET_ACCIDENTS=all")
def test_a_triggerer_that_wakes_ends_nothing(
    stack: settings.Settings, buyer: Person, machines: list[dict[str, Any]]
) -> None:
    buyer.put("prepares/main.py", PREPARES)
    job_id = buyer.submit("prepares")
    buyer.in_status(job_id, "running")
    supervisor = Supervisor(stack)
    supervisor.stop("watchdog")
    frozen = group(stack)
    try:
        with second_triggerer(stack):
            until(lambda: len(triggers(stack)) == 1, "all triggers with one triggerer", 60)
            first = next(iter(triggers(stack)))
            freeze(frozen)
            until(lambda: set(triggers(stack)) - {first}, "the triggers to be taken over", 90)
            until(lambda: first not in triggers(stack), "all of them", 30)
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
            ends = time.monotonic() + 15  # it has looked what is its own, and given up what is not
            while time.monotonic() < ends:
                assert buyer.job(job_id)["status"] == "running"
                time.sleep(0.5)
            job = buyer.ended(job_id)
            assert (job["status"], job["reason"]) == ("succeeded", "")
    finally:
        with suppress(ProcessLookupError):
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        supervisor.start("watchdog")
