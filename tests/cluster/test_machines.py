"""Machines on the real YARN: they join, are watched, and leave; strangers get nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from people import Person, person, until

from market import settings
from market.cluster.clients import resource_manager
from market.cluster.resourcemanager import Node
from market.machines import alerts, host
from market.machines.node_config import shared_files
from market.machines.nodemanager import NodeManager
from market.paging import Page

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

    def start(name: str, hours: str = "1") -> Agent:
        log = tmp_path / f"{name}.log"
        words = ["share", "--cores", "1", "--memory", "1g", "--type", "highmem", "--hours", hours]
        words += ["--name", name, "--username", owner.username, "--password-file", str(password)]
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
