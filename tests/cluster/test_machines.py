"""Machines on the real YARN: they join, are watched, and leave; strangers get nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from people import Person, person, until

from market import clock, db, settings
from market.cluster.clients import resource_manager
from market.cluster.errors import ClusterUnavailable
from market.cluster.resourcemanager import Node
from market.credits.settlement import settle
from market.machines import alerts, host
from market.machines.node_config import shared_files
from market.machines.nodemanager import NodeManager
from market.paging import Page
from market.stack.supervisor import Supervisor

pytestmark = pytest.mark.cluster


@dataclass
class Agent:
    """A running `./market share`, with what it prints."""

    process: subprocess.Popen[bytes]
    log: Path
    owner: Person
    name: str

    def record(self) -> dict[str, Any]:
        machines = self.owner.rest.get("/machines", limit=200)["machines"]
        return next((one for one in machines if one["display_name"] == self.name), {})

    def wait(self, state: str, deadline_s: float = 60) -> dict[str, Any]:
        return until(
            lambda: found if (found := self.record()).get("availability") == state else None,
            f"{self.name} {state} (its agent says: {self.said()})",
            deadline_s,
        )

    def said(self) -> str:
        return self.log.read_text()

    def left_behind(self) -> list[str]:
        """Return the processes of this machine."""
        mark = f"/machines/{self.name}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(one.startswith(b"MARKET_MACHINE=") and one.endswith(mark) for one in variables):
                found.append(entry.name)
        return found


@pytest.fixture(scope="module")
def owner(stack: settings.Settings) -> Person:
    return person(stack, "owner")


@pytest.fixture
def lend(stack: settings.Settings, owner: Person, tmp_path: Path) -> Iterator[Any]:
    """Return a function that starts an agent; it lends one core of a type that no other test uses."""
    agents: list[Agent] = []
    password = tmp_path / "password"
    password.write_text(owner.password)

    def start(name: str, hours: str = "1", *more: str) -> Agent:
        log = tmp_path / f"{name}.log"
        words = ["share", "--cores", "1", "--memory", "1g", "--type", "highmem", "--hours", hours]
        words += ["--name", name, "--username", owner.username, "--password-file", str(password), *more]
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "market.cli", *words, "--server", stack.url("api")],
                cwd=settings.ROOT,
                env={**os.environ, "PYTHONPATH": str(settings.ROOT / "plugins")},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        agents.append(Agent(process, log, owner, name))
        return agents[-1]

    yield start
    for agent in agents:
        for _ in range(2):  # the second one ends it at once
            if agent.process.poll() is None:
                agent.process.send_signal(signal.SIGINT)
        agent.process.wait(60)


def node(node_id: str) -> Node | None:
    return next((one for one in resource_manager().nodes() if one.node_id == node_id), None)


def test_a_machine_joins_and_leaves_after_a_drain(lend: Any) -> None:
    agent = lend("joins")
    record = agent.wait("active")
    seen = node(f"{record['ip_address']}:{record['service_port']}")
    assert seen is not None
    assert (seen.state, seen.labels, seen.total_mib, seen.total_vcores) == ("RUNNING", ("highmem",), 1024, 1)
    answer = agent.owner.send("DELETE", f"/machines/{record['machine_id']}")
    assert (answer.status_code, answer.json()["status"]) == (202, "draining")
    agent.wait("left")
    assert agent.process.wait(30) == 0
    gone = node(seen.node_id)
    assert gone is None or gone.state == "DECOMMISSIONED"
    assert agent.left_behind() == []
    assert agent.owner.send("DELETE", f"/machines/{record['machine_id']}").json()["status"] == "left"


def test_ctrl_c_drains_and_ends(lend: Any) -> None:
    agent = lend("interrupted")
    agent.wait("active")
    agent.process.send_signal(signal.SIGINT)
    assert agent.process.wait(90) == 0
    assert agent.record()["availability"] == "left"
    assert agent.left_behind() == []


def test_an_agent_that_is_killed_takes_all_with_it_and_goes_on_when_started_again(lend: Any) -> None:
    agent = lend("killed")
    record = agent.wait("active")
    agent.process.kill()
    agent.process.wait()
    until(lambda: not agent.left_behind(), "the end of what the agent had started", 10)
    again = lend("killed")
    until(lambda: "where it was" in again.said(), "the machine to be taken up", 60)
    assert again.wait("active")["machine_id"] == record["machine_id"]


def test_a_nodemanager_that_is_killed_is_started_again(lend: Any) -> None:
    agent = lend("restarted")
    record = agent.wait("active")
    for pid in agent.left_behind():
        if (Path("/proc") / pid / "comm").read_text().strip() == "java":
            os.kill(int(pid), signal.SIGKILL)
    until(lambda: "started again" in agent.said(), "a new NodeManager", 60)
    assert agent.wait("active")["machine_id"] == record["machine_id"]


def test_a_host_that_nobody_registered_is_turned_away(stack: settings.Settings) -> None:
    stranger = NodeManager(
        stack.paths,
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


def test_an_impostor_is_emptied_and_the_honest_machine_goes_on(stack: settings.Settings, lend: Any) -> None:
    agent = lend("honest")
    record = agent.wait("active")
    address = record["ip_address"]
    ports = host.choose_ports(address, 45999)
    impostor = NodeManager(
        stack.paths,
        stack.paths.state / "machines" / "impostor",
        address,
        host.look(stack.paths.state).java_home,
    )
    impostor.start(shared_files(stack, 8, 8192), ports)
    node_id = f"{address}:{ports.service}"
    try:
        until(lambda: (found := node(node_id)) and found.total_mib == 0, "the impostor to be emptied", 60)
        found = node(node_id)
        assert found is not None
        assert (found.total_vcores, found.labels, found.containers) == (0, (), 0)
        until(
            lambda: any(one["subject"] == node_id for one in alerts.list_alerts(Page(limit=200)).rows),
            "an alert",
            30,
        )
        assert agent.record()["availability"] == "active"
        honest = node(f"{address}:{record['service_port']}")
        assert honest is not None
        assert (honest.state, honest.total_mib) == ("RUNNING", 1024)
    finally:
        impostor.stop()


def test_metadata_counts_what_is_lent(lend: Any) -> None:
    agent = lend("counted")
    agent.wait("active")
    line = agent.owner.rest.get("/metadata")["machine_info"]["highmem"]
    assert line["machines"] >= 1
    assert line["cores"] - line["cores_used"] == line["cores_free"]
    assert line["price"] == "1.250000" or line["rate"] != "1.000000"


def size(record: dict[str, Any]) -> tuple[str, tuple[str, ...], int, int] | None:
    """Return what the ResourceManager shows of a machine."""
    found = node(f"{record['ip_address']}:{record['service_port']}")
    return found and (found.state, found.labels, found.total_vcores, found.total_mib)


def test_another_size_than_declared_is_refused(stack: settings.Settings, owner: Person) -> None:
    body = {"core_count": 1, "memory_size": 1024, "machine_type": "highmem", "time_period": 600}
    made = owner.rest.post("/machines", body)
    path, joined = f"/machines/{made['machine_id']}", made["join"]
    ports = host.choose_ports(joined["ip_address"], joined["service_port"])
    owner.rest.post(f"{path}/join", {"token": joined["token"], "service_port": ports.service})
    java = host.look(stack.paths.state).java_home
    liar = NodeManager(stack.paths, stack.paths.state / "machines" / "liar", joined["ip_address"], java)
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


def test_a_lease_ends_by_itself(lend: Any) -> None:
    agent = lend("leased", "0.02")
    record = agent.wait("active")
    assert agent.process.wait(90) == 0
    left = agent.record()
    assert left["availability"] == "left"
    assert left["left_time"] <= record["lease_end"]


def test_a_machine_rests_outside_its_hours_with_its_agent_running(
    stack: settings.Settings, lend: Any
) -> None:
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    later, end = now + timedelta(hours=6), now + timedelta(hours=12)
    hours = f"{later:%H:%M}-{end:%H:%M}"
    agent = lend("nightly", "48", "--window", hours, "--time-zone", "UTC")
    agent.wait("resting")
    until(lambda: not agent.left_behind(), "the end of its NodeManager", 40)
    assert agent.process.poll() is None
    with db.transaction() as cursor:  # its hours come
        cursor.execute(
            "UPDATE machine SET hours = %s WHERE machine_id = %s",
            [f"{now - timedelta(hours=1):%H:%M}-{later:%H:%M}", agent.record()["machine_id"]],
        )
    assert size(agent.wait("active")) == ("RUNNING", ("highmem",), 1, 1024)
    assert "its hours have begun" in agent.said()


def test_a_resize_and_a_restart_of_the_resourcemanager_are_not_forgotten(
    stack: settings.Settings, lend: Any
) -> None:
    agent = lend("resized")
    record = agent.wait("active")
    path = f"/machines/{record['machine_id']}"
    answer = agent.owner.rest.post(f"{path}/resize", {"core_count": 2, "memory_size": 1280})
    assert (answer["core_count"], answer["memory_size"]) == (2, 1280)
    until(lambda: size(record) == ("RUNNING", ("highmem",), 2, 1280), "the new size in YARN", 20)
    too_much = agent.owner.send("POST", f"{path}/resize", json={"core_count": 1024})
    assert (too_much.status_code, set(too_much.json()["errors"])) == (422, {"core_count"})
    supervisor = Supervisor(stack)
    supervisor.stop("resourcemanager")
    supervisor.start("resourcemanager")

    def known() -> bool:
        try:
            return size(record) == ("RUNNING", ("highmem",), 2, 1280)
        except ClusterUnavailable:
            return False

    until(known, "the machine after the restart", 60)
    assert agent.record()["machine_id"] == record["machine_id"]
    agent.wait("active")
    for pid in agent.left_behind():
        if (Path("/proc") / pid / "comm").read_text().strip() == "java":
            os.kill(int(pid), signal.SIGKILL)
    until(lambda: "started again" in agent.said(), "a new NodeManager", 60)
    until(known, "the size after its start", 60)
    agent.wait("active")


def test_a_machine_is_measured_and_verified(lend: Any) -> None:
    agent = lend("measured")
    record = agent.wait("active")
    path = f"/machines/{record['machine_id']}"
    agent.owner.rest.post(f"{path}/verify")
    found = until(
        lambda: [
            one
            for one in agent.owner.rest.get(f"{path}/verifications")["verifications"]
            if one["outcome"] not in ("running", "none")
        ],
        "a measurement",
        150,
    )[0]
    assert found["outcome"] == "good", found
    assert min(found["core_speed"], found["speed"], found["memory_speed"]) > 0
    now = agent.record()
    assert (now["trust"], now["verified_time"]) == (1, found["end_time"])


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


def executors(job_id: str) -> list[Any]:
    """Return the executors that a job has had, with the display names of their machines."""
    with db.transaction() as cursor:
        cursor.execute(
            "SELECT host, start_ms FROM container_usage WHERE job_id = %s AND role = 'executor'"
            " ORDER BY start_ms",
            [job_id],
        )
        found: list[Any] = cursor.fetchall()
    return found


def test_a_drain_moves_a_job_to_another_machine(
    lend: Any, buyer: Person, program: Callable[[str], str]
) -> None:
    agents = {name: lend(name) for name in ("drained", "spare")}
    for agent in agents.values():
        agent.wait("active")
    buyer.put("slow/main.py", program(SLOW))
    job_id = buyer.submit("slow", machine_type="highmem", app_params=["40"])
    first = until(lambda: executors(job_id), "an executor", 120)[0].host
    until(lambda: buyer.rest.get(f"/jobs/{job_id}/progress").get("tasks_done", 0) >= 3, "some tasks", 60)
    drained = agents[first]
    record = drained.record()
    began = time.monotonic()
    assert drained.owner.send("DELETE", f"/machines/{record['machine_id']}").status_code == 202
    until(lambda: (size(record) or ("",))[0] != "RUNNING", "YARN to be told", 60)
    told_ms = clock.now_ms()
    hosts = until(lambda: found if len(found := executors(job_id)) > 1 else None, "a replacement", 60)
    print(f"a replacement {time.monotonic() - began:.1f} s after DELETE")
    assert hosts[1].start_ms < told_ms + 10_000
    job = buyer.ended(job_id)
    assert job["status"] == "succeeded", job
    assert hosts[1].host != first
    assert {one.host for one in hosts} <= set(agents), "a job for a type never runs elsewhere"
    assert "sum 780" in buyer.log(job_id)
    assert int(buyer.log(job_id).split("attempts ")[1].split()[0]) <= 41
    assert drained.wait("left", 130)["reason"] == "removed by its owner"


def test_a_machine_that_dies_is_found_lost_and_not_paid_and_its_job_succeeds(
    lend: Any, buyer: Person, program: Callable[[str], str]
) -> None:
    agents = {name: lend(name) for name in ("dies", "lives")}
    for agent in agents.values():
        agent.wait("active")
    buyer.put("slow/main.py", program(SLOW))
    job_id = buyer.submit("slow", machine_type="highmem", app_params=["20"])
    first = until(lambda: executors(job_id), "an executor", 120)[0].host
    until(lambda: buyer.rest.get(f"/jobs/{job_id}/progress").get("tasks_done", 0) >= 3, "some tasks", 60)
    dead = agents[first]
    began = time.monotonic()
    dead.process.kill()
    until(lambda: not dead.left_behind(), "the end of its containers", 10)
    dead.wait("lost", 65)
    assert time.monotonic() - began < 61
    job = buyer.ended(job_id)
    assert job["status"] == "succeeded", job
    until(
        lambda: buyer.rest.get(f"/jobs/{job_id}/receipt")["final"] or settle(clock.now_ms()), "a receipt", 90
    )
    receipt = buyer.rest.get(f"/jobs/{job_id}/receipt")
    lines = [one for one in receipt["containers"] if one["not_charged_because"] == "node_lost"]
    assert [(one["host"], one["amount"]) for one in lines] == [(first, "0.000000")]


WHERE = """
    import os
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate().sparkContext
    there = spark.parallelize([0], 1).map(lambda _: os.environ["MARKET_RUNTIME"]).first()
    print("driver", os.environ["MARKET_RUNTIME"], "executor", there)
"""


def test_a_machine_whose_runtime_lies_elsewhere_runs_jobs(
    stack: settings.Settings,
    owner: Person,
    buyer: Person,
    program: Callable[[str], str],
    tmp_path: Path,
) -> None:
    elsewhere = tmp_path / "my-own-place"
    elsewhere.mkdir()
    for name in ("runtime", "hadoop"):
        (elsewhere / name).symlink_to(stack.paths.installs / name)
    made = owner.rest.post(
        "/machines",
        {"core_count": 1, "memory_size": 1024, "machine_type": "highmem", "time_period": 600},
    )
    path, joined = f"/machines/{made['machine_id']}", made["join"]
    ports = host.choose_ports(joined["ip_address"], joined["service_port"])
    owner.rest.post(f"{path}/join", {"token": joined["token"], "service_port": ports.service})
    other = NodeManager(
        settings.Paths(root=stack.paths.root, installs=elsewhere, state=stack.paths.state),
        stack.paths.state / "machines" / "elsewhere",
        joined["ip_address"],
        host.look(stack.paths.state).java_home,
    )
    other.start(joined["files"], ports)
    try:
        until(
            lambda: (other.keep(joined["files"], ports), owner.rest.get(path)["availability"])[1] == "active",
            "the machine to be active",
            60,
        )
        buyer.put("where/main.py", program(WHERE))
        job_id = buyer.submit("where", machine_type="highmem")
        job = buyer.ended(job_id)
        assert job["status"] == "succeeded", (job, buyer.log(job_id, "executor", "stderr")[-2000:])
        assert buyer.log(job_id).split() == [
            *("driver", str(stack.paths.runtime)),
            *("executor", str(elsewhere / "runtime")),
        ]
    finally:
        owner.rest.delete(path, now="true")
        until(lambda: owner.rest.get(path)["availability"] == "left", "the machine to leave", 60)
        other.stop()
