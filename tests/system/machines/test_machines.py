"""Machines on the real YARN: they join, are watched, and leave; strangers get nothing."""

from __future__ import annotations

import signal
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agents import Agent
from machine_keys import identity_of, issued
from nodes import node, size
from people import Person, person, until

from distributedmarket.agent import host
from distributedmarket.agent.nodemanager import NodeManager
from market.cluster.clients import hdfs
from market.hadoop import paths, spark
from market.hadoop.node_config import shared_files
from market.kit import alerts, clock, database, settings
from market.kit.money import parse_credits
from market.kit.paging import Page
from market.ops.install.install_steps import places_of

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def meanwhile() -> Iterator[Callable[..., Future[Any]]]:
    """Return a function that runs another while tests go on; its result comes when it is asked for."""
    with ThreadPoolExecutor(max_workers=4) as threads:
        yield threads.submit


@pytest.fixture(scope="module", autouse=True)
def long_waits(
    stack: settings.Settings,
    lenders: Callable[..., Agent],
    meanwhile: Callable[..., Future[Any]],
) -> dict[str, Future[Any]]:
    """Begin at once what takes longest and needs nothing but time; each with jobs has a type for itself."""
    return {
        "drain": meanwhile(a_machine_is_drained, stack, lenders, person(stack, "mover")),
        "death": meanwhile(a_machine_dies, lenders, person(stack, "mourner")),
        "lease": meanwhile(a_lease_ends, lenders),
        "hours": meanwhile(hours_come, stack, lenders),
    }


_steady: list[Agent] = []
SLOW = """
    import sys, time
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate().sparkContext
    ran = spark.accumulator(0)

    def work(number):
        ran.add(1)
        time.sleep(1)
        return number

    print("sum", spark.parallelize(range(int(sys.argv[1])), int(sys.argv[1])).map(work).sum(), flush=True)
    print("attempts", ran.value)
"""
# What was shuffled lies on the one executor while its last task runs for as long as it is let.
LONG = """
    import time
    from pyspark import TaskContext
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate().sparkContext
    mapped = spark.accumulator(0)

    def pair(number):
        mapped.add(1)
        return 0, number

    def total(numbers):
        time.sleep(1 if TaskContext.get().attemptNumber() else 600)
        yield sum(number for _, number in numbers)

    pairs = spark.parallelize(range(8), 8).map(pair).partitionBy(1)
    print("sum", pairs.mapPartitions(total).sum(), flush=True)
    print("mapped", mapped.value)
"""


def executors(job_id: str) -> list[Any]:
    """Return the executors that a job has had, with the display names of their machines."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT host, start_ms FROM container_usage WHERE job_id = %s AND role = 'executor'"
            " ORDER BY start_ms",
            [job_id],
        )
        found: list[Any] = cursor.fetchall()
    return found


def done(person: Person, job_id: str) -> int:
    """Return how many tasks of a job are done."""
    return int(person.rest.get(f"/jobs/{job_id}/progress").get("tasks_done", 0))


def a_machine_dies(lend: Callable[..., Agent], buyer: Person) -> None:
    """Let the machine under a job die: it is found lost and not paid, and the job succeeds on the other."""
    agents = {name: lend(name, kind="dying") for name in ("dies", "lives")}
    for agent in agents.values():
        agent.wait("active")
    buyer.put("slow/main.py", textwrap.dedent(SLOW))
    job_id = buyer.submit("slow", machine_type="dying", app_params=["20"])
    first = until(lambda: executors(job_id), "an executor")[0].host
    until(lambda: done(buyer, job_id) >= 3, "some tasks")
    dead = agents[first]
    began = time.monotonic()
    dead.die()
    until(lambda: not dead.left_behind(), "the end of its containers", 10)
    dead.wait("lost", 65)
    assert time.monotonic() - began < 61
    job = buyer.ended(job_id)
    assert job["status"] == "succeeded", job
    receipt = buyer.receipt(job_id, 90)
    lines = [one for one in receipt["containers"] if one["not_charged_because"] == "node_lost"]
    assert [(one["host"], parse_credits(one["amount"])) for one in lines] == [(first, settled_before(job_id))]


def settled_before(job_id: str) -> int:
    """Return what a job's lost container cost in intervals that were closed before it was lost, in ucr."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT coalesce(max(b.amount_ucr), 0) AS ucr FROM usage_line b JOIN usage_line l"
            " ON l.container_id = b.container_id AND l.interval_id > b.interval_id"
            " WHERE l.job_id = %s AND l.not_charged_because = 'node_lost'",
            [job_id],
        )
        return int(cursor.fetchone().ucr)


def a_machine_is_drained(stack: settings.Settings, lend: Callable[..., Agent], buyer: Person) -> None:
    """Drain the machine under two jobs: they go on with what they have shuffled, on another machine."""
    drained = lend("drained", kind="draining", cores=2)
    record = drained.wait("active")
    jobs = {}
    for name, text, params in (("slow", SLOW, ["60"]), ("long", LONG, [])):
        buyer.put(f"{name}/main.py", textwrap.dedent(text))
        jobs[name] = buyer.submit(name, machine_type="draining", app_params=params)
    until(
        lambda: done(buyer, jobs["slow"]) >= 3 and done(buyer, jobs["long"]) == 8, "some tasks of both", 240
    )
    lend("spare", kind="draining", cores=2).wait("active")

    began = time.monotonic()
    assert drained.owner.send("DELETE", f"/machines/{record['machine_id']}").status_code == 202
    until(lambda: (size(record) or ("",))[0] != "RUNNING", "YARN to be told", 60)
    told_ms = clock.now_ms()

    def replacement(job_id: str) -> int:
        hosts = until(lambda: found if len(found := executors(job_id)) > 1 else None, "a replacement", 60)
        assert [one.host for one in hosts] == ["drained", "spare"], "a job for a type never runs elsewhere"
        print(f"a replacement {time.monotonic() - began:.1f} s after DELETE")
        return int(hosts[1].start_ms) - told_ms

    assert replacement(jobs["slow"]) < 10_000
    assert replacement(jobs["long"]) < (spark.task_drain_s(stack) + 15) * 1000
    for job_id in jobs.values():
        job = buyer.ended(job_id)
        assert job["status"] == "succeeded", job
    said = buyer.log(jobs["slow"])
    assert "sum 1770" in said
    assert int(said.split("attempts ")[1].split()[0]) <= 61
    assert buyer.log(jobs["long"]).split() == ["sum", "28", "mapped", "8"], "what was shuffled is kept"
    saved = f"{paths.job_folder(buyer.username, jobs['long'])}/{spark.SHUFFLE}"
    assert hdfs().status(saved) is None or not hdfs().list(saved)
    assert drained.wait("left", 130)["reason"] == "removed by its owner"


def a_lease_ends(lend: Callable[..., Agent]) -> None:
    """Let a lease end: the machine has left by then."""
    agent = lend("leased", "0.08")  # it drains in the last two minutes
    record = agent.wait("active")
    assert agent.process.wait(300) == 0
    left = agent.record()
    assert left["availability"] == "left"
    assert left["left_time"] <= record["lease_end"]


def hours_come(stack: settings.Settings, lend: Callable[..., Agent]) -> None:
    """Lend outside a machine's hours: it rests, with its agent running, and works when they come."""
    now = datetime.now(UTC)
    later, end = now + timedelta(hours=6), now + timedelta(hours=12)
    hours = f"{later:%H:%M}-{end:%H:%M}"
    agent = lend("nightly", "48", "--window", hours, "--time-zone", "UTC")
    agent.wait("resting")
    until(lambda: not agent.left_behind(), "the end of its NodeManager", 40)
    assert agent.process.poll() is None
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE machine SET hours = %s WHERE machine_id = %s",
            [f"{now - timedelta(hours=1):%H:%M}-{later:%H:%M}", agent.record()["machine_id"]],
        )
    assert size(agent.wait("active")) == ("RUNNING", ("cpu",), 1, 1024)
    assert "its hours have begun" in agent.said()
    agent.interrupt()


def registered(stack: settings.Settings, name: str) -> int:
    """Return how often NodeManagers of a machine have registered at YARN."""
    log = stack.paths.state / "machines" / name / "node.log"
    return log.read_text().count("Registered with ResourceManager")


@pytest.fixture
def steady(lenders: Callable[..., Agent]) -> Agent:
    """An active machine, which tests use one after another; a new one where the last one took it away."""
    if _steady and _steady[-1].process.poll() is None and _steady[-1].record()["availability"] == "active":
        return _steady[-1]
    _steady.append(lenders(f"steady-{len(_steady) + 1}"))
    _steady[-1].wait("active")
    return _steady[-1]


def test_a_machine_joins_and_leaves_after_a_drain(lend: Any) -> None:
    agent = lend("joins")
    record = agent.wait("active")
    seen = node(f"{record['ip_address']}:{record['service_port']}")
    assert seen is not None
    assert (seen.state, seen.labels, seen.total_mib, seen.total_vcores) == ("RUNNING", ("cpu",), 1024, 1)
    answer = agent.owner.send("DELETE", f"/machines/{record['machine_id']}")
    assert (answer.status_code, answer.json()["status"]) == (202, "draining")
    agent.wait("left")
    assert agent.process.wait(30) == 0
    gone = node(seen.node_id)
    assert gone is None or gone.state == "DECOMMISSIONED"
    assert agent.left_behind() == []
    assert agent.owner.send("DELETE", f"/machines/{record['machine_id']}").json()["status"] == "left"


def test_metadata_counts_what_is_lent(steady: Agent) -> None:
    types = steady.owner.rest.get("/metadata")["machine_info"]
    line = types["cpu"]
    assert line["machines"] >= 1
    assert line["cores"] - line["cores_used"] == line["cores_free"]
    highmem = types["highmem"]
    assert parse_credits(highmem["price"]) == parse_credits(highmem["rate"]) * 5 // 4


def test_an_impostor_is_emptied_and_the_honest_machine_goes_on(
    stack: settings.Settings, steady: Agent
) -> None:
    record = steady.record()
    address = record["ip_address"]
    ports = host.choose_ports(address, 45999)
    impostor = NodeManager(
        places_of(stack.paths),
        stack.paths.state / "machines" / "impostor",
        address,
        host.look(stack.paths.state).java_home,
    )
    impostor.identify(identity_of(stack.paths.state / "machines" / steady.name))
    impostor.start(shared_files(stack, 8, 8192), ports)
    node_id = f"{address}:{ports.service}"
    try:
        until(lambda: (found := node(node_id)) and found.total_mib == 0, "the impostor to be emptied", 60)
        found = node(node_id)
        assert found is not None
        assert (found.total_vcores, found.labels, found.containers) == (0, (), 0)
        until(
            lambda: any(one.subject == node_id for one in alerts.list_alerts(Page(limit=200)).rows),
            "an alert",
            30,
        )
        assert steady.record()["availability"] == "active"
        honest = node(f"{address}:{record['service_port']}")
        assert honest is not None
        assert (honest.state, honest.total_mib) == ("RUNNING", 1024)
    finally:
        impostor.stop()


def test_an_agent_that_is_killed_takes_all_with_it_and_goes_on_when_started_again(
    stack: settings.Settings, steady: Agent, lenders: Callable[..., Agent]
) -> None:
    record, before = steady.record(), registered(stack, steady.name)
    steady.process.kill()
    steady.process.wait()
    until(lambda: not steady.left_behind(), "the end of what the agent had started", 10)
    again = lenders(steady.name)
    _steady.append(again)
    until(lambda: "where it was" in again.said(), "the machine to be taken up")
    assert again.wait("active")["machine_id"] == record["machine_id"]
    until(lambda: registered(stack, steady.name) > before, "its NodeManager at YARN")


def test_a_nodemanager_that_is_killed_is_started_again(stack: settings.Settings, steady: Agent) -> None:
    record, before = steady.record(), registered(stack, steady.name)
    steady.kill_nodemanager()
    until(lambda: "started again" in steady.said(), "a new NodeManager")
    until(lambda: registered(stack, steady.name) > before, "the new one at YARN")
    assert steady.wait("active")["machine_id"] == record["machine_id"]


def test_ctrl_c_drains_and_ends(steady: Agent) -> None:
    steady.process.send_signal(signal.SIGINT)
    assert steady.process.wait(90) == 0
    assert steady.record()["availability"] == "left"
    assert steady.left_behind() == []


def test_a_host_that_nobody_registered_is_turned_away(stack: settings.Settings) -> None:
    if stack.kerberos:
        pytest.skip("it has no key, and gets no further: tests/security/test_machines.py")
    stranger = NodeManager(
        places_of(stack.paths),
        stack.paths.state / "machines" / "stranger",
        "127.0.7.7",
        host.look(stack.paths.state).java_home,
    )
    stranger.start(shared_files(stack, 4, 4096), host.choose_ports("127.0.7.7", 8041))
    try:
        until(lambda: not stranger.running(), "the end of the stranger", 60)
        assert "Disallowed NodeManager" in stranger.log.read_text()
    finally:
        stranger.stop()


def test_another_size_than_declared_is_refused(stack: settings.Settings, owner: Person) -> None:
    body = {"core_count": 1, "memory_size": 1024, "machine_type": "cpu", "time_period": 600}
    made = owner.rest.post("/machines", body)
    path, joined = f"/machines/{made['machine_id']}", made["join"]
    ports = host.choose_ports(joined["ip_address"], joined["service_port"])
    owner.rest.post(f"{path}/join", {"token": joined["token"], "service_port": ports.service})
    java = host.look(stack.paths.state).java_home
    liar = NodeManager(
        places_of(stack.paths), stack.paths.state / "machines" / "liar", joined["ip_address"], java
    )
    liar.identify(issued(owner, made["machine_id"]))
    liar.start(shared_files(stack, 2, 2048), ports)
    try:
        record = until(
            lambda: (
                liar.keep(shared_files(stack, 2, 2048), ports),
                one if (one := owner.rest.get(path))["availability"] == "rejected" else None,
            )[1],
            "the machine to be rejected",
            90,
        )
        assert "declared 1 cores and 1024 MiB" in record["reason"]
        until(lambda: (size(record) or ("",))[-1] != 2048, "its node to be emptied or gone", 30)
    finally:
        liar.stop()


def test_a_machine_rests_outside_its_hours_with_its_agent_running(
    long_waits: dict[str, Future[None]],
) -> None:
    long_waits["hours"].result()


def test_a_lease_ends_by_itself(long_waits: dict[str, Future[None]]) -> None:
    long_waits["lease"].result()


def test_a_machine_that_dies_is_found_lost_and_not_paid_and_its_job_succeeds(
    long_waits: dict[str, Future[None]],
) -> None:
    long_waits["death"].result()


def test_a_drain_moves_jobs_with_what_they_have_shuffled_to_another_machine(
    long_waits: dict[str, Future[None]],
) -> None:
    long_waits["drain"].result()
