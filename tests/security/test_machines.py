"""What a machine's owner, root on his host, cannot do with all that lies there."""

from __future__ import annotations

import secrets
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from agents import Agent
from machine_keys import hadoop, identity_of, login
from nodes import node
from people import Person, until

from distributedmarket.agent import host
from distributedmarket.agent.identity import Identity
from distributedmarket.agent.nodemanager import NodeManager
from market.cluster.clients import hdfs
from market.hadoop.node_config import shared_files
from market.kit import settings
from market.ops.install.install_steps import places_of

pytestmark = pytest.mark.cluster

SHELL = "org.apache.hadoop.fs.FsShell"
DFS_ADMIN = "org.apache.hadoop.hdfs.tools.DFSAdmin"
APPLICATIONS = "org.apache.hadoop.yarn.client.cli.ApplicationCLI"
RM_ADMIN = "org.apache.hadoop.yarn.client.cli.RMAdminCLI"
SOON = ["-D", "yarn.resourcemanager.connect.max-wait.ms=5000"]
START_S = 120  # of a NodeManager, beside all else
UNAUTHORIZED = "is not authorized for protocol"


@dataclass(frozen=True)
class Lent:
    """A machine that is lent, seen by its owner."""

    agent: Agent
    folder: Path
    address: str

    @property
    def identity(self) -> Identity:
        found = identity_of(self.folder)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def lent(stack: settings.Settings, lenders: Callable[..., Agent]) -> Lent:
    return _lent(stack, lenders("owned"))


def _lent(stack: settings.Settings, agent: Agent) -> Lent:
    record = agent.wait("active", START_S)
    return Lent(agent, stack.paths.state / "machines" / agent.name, record["ip_address"])


@pytest.fixture(scope="module")
def other(stack: settings.Settings, machines: list[dict[str, Any]]) -> dict[str, Any]:
    """Somebody else's machine."""
    return machines[0]


@pytest.fixture(scope="module")
def diary(stack: settings.Settings, buyer: Person) -> str:
    buyer.put("private/diary.txt", "what nobody else may read\n")
    return f"/user/{buyer.username}/private/diary.txt"


@pytest.fixture
def tool(stack: settings.Settings, lent: Lent, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run one of Hadoop's programs with the machine's key."""

    def run(main: str, *words: str, **variables: str) -> tuple[int, str]:
        return hadoop(stack, lent.identity, tmp_path, main, *words, **variables)

    return run


def test_the_key_is_bound_to_the_registered_address(lent: Lent) -> None:
    assert lent.identity.principal == f"nm/{lent.address}@MARKET"


@pytest.mark.parametrize(
    "words",
    [
        ["-cat", "{diary}"],
        ["-ls", "/user/{victim}"],
        ["-rm", "-r", "-skipTrash", "/user/{victim}"],
        ["-chmod", "777", "/user/{victim}"],
        ["-chown", "nm", "/user/{victim}"],
        ["-mkdir", "/user/nm"],
        ["-touchz", "/market/lib/market_program.jar.new"],
        ["-mv", "/market/lib", "/market/library"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_machine_s_key_opens_nothing_in_hdfs(
    tool: Callable[..., tuple[int, str]], buyer: Person, diary: str, words: list[str]
) -> None:
    code, said = tool(SHELL, *(word.format(diary=diary, victim=buyer.username) for word in words))
    assert code, said
    assert "Permission denied" in said or "Non-super user cannot change owner" in said, said
    assert hdfs().read(diary) == b"what nobody else may read\n"


@pytest.mark.parametrize("who", ["{account}", "{victim}", "hdfs", "root"])
def test_a_machine_acts_for_nobody(
    stack: settings.Settings, tool: Callable[..., tuple[int, str]], buyer: Person, diary: str, who: str
) -> None:
    name = who.format(account=stack.service.account, victim=buyer.username)
    code, said = tool(SHELL, "-cat", diary, HADOOP_PROXY_USER=name)
    assert code, said
    assert "is not allowed to impersonate" in said
    code, said = tool(SHELL, "-cat", diary, HADOOP_USER_NAME=name)
    assert code, said
    assert "Permission denied: user=nm" in said


@pytest.mark.parametrize("command", [["-safemode", "enter"], ["-refreshNodes"], ["-report"]], ids=str)
def test_a_machine_does_not_rule_hdfs(tool: Callable[..., tuple[int, str]], command: list[str]) -> None:
    code, said = tool(DFS_ADMIN, *command)
    assert code, said
    assert "Superuser privilege is required" in said or "Access denied for user nm" in said, said


@pytest.mark.parametrize(
    "words",
    [["-list"], ["-kill", "application_1_0001"], ["-movetoqueue", "application_1_0001", "-queue", "cpu"]],
    ids=lambda words: words[0],
)
def test_a_machine_lists_kills_and_moves_nothing(
    tool: Callable[..., tuple[int, str]], words: list[str]
) -> None:
    code, said = tool(APPLICATIONS, "application", *words)
    assert code, said
    assert UNAUTHORIZED in said
    assert "ApplicationClientProtocol" in said


def test_a_machine_submits_nothing(tool: Callable[..., tuple[int, str]]) -> None:
    code, said = tool(str(Path(__file__).with_name("Submits.java")))
    assert code, said
    assert "REFUSED" in said
    assert UNAUTHORIZED in said


@pytest.mark.parametrize(
    "command", ["-refreshNodes", "-refreshQueues", "-refreshSuperUserGroupsConfiguration"]
)
def test_a_machine_does_not_rule_yarn(tool: Callable[..., tuple[int, str]], command: str) -> None:
    code, said = tool(RM_ADMIN, *SOON, command)
    assert code, said
    assert UNAUTHORIZED in said


def started(
    stack: settings.Settings, name: str, address: str, who: Identity, port: int = 47000
) -> tuple[NodeManager, str]:
    """Start a NodeManager under an address; return it, and what YARN would call it."""
    folder = stack.paths.state / "machines" / name
    manager = NodeManager(places_of(stack.paths), folder, address, host.look(stack.paths.state).java_home)
    manager.identify(who)
    ports = host.choose_ports(address, port)
    manager.start(shared_files(stack, 1, 1024), ports)
    return manager, f"{address}:{ports.service}"


def test_a_machine_s_key_registers_no_other_machine(
    stack: settings.Settings, lent: Lent, other: dict[str, Any]
) -> None:
    """The other one is registered, admitted and runs: what is refused is who says so."""
    impostor, node_id = started(stack, "impostor-address", other["ip_address"], lent.identity)
    try:
        until(lambda: "may not speak for" in impostor.log.read_text(), "the refusal")
        assert f"{lent.identity.principal} may not speak for {node_id}" in impostor.log.read_text()
        assert node(node_id) is None
        honest = node(f"{other['ip_address']}:{other['service_port']}")
        assert honest is not None
        assert honest.state == "RUNNING"
    finally:
        impostor.stop()


def test_a_machine_s_key_registers_no_address_that_nobody_lends(stack: settings.Settings, lent: Lent) -> None:
    impostor, node_id = started(stack, "impostor-nowhere", "127.0.7.8", lent.identity)
    try:
        until(lambda: "may not speak for" in impostor.log.read_text(), "the refusal")
        assert node(node_id) is None
    finally:
        impostor.stop()


@pytest.mark.parametrize("name", ["{other}", "market/resourcemanager", "nm/127.0.7.9"])
def test_a_machine_s_key_is_no_other_name_s(
    stack: settings.Settings, lent: Lent, other: dict[str, Any], name: str
) -> None:
    """Its owner writes another name beside it, for that name's address."""
    principal = name.format(other=f"nm/{other['ip_address']}") + f"@{stack.security.realm}"
    who = replace(lent.identity, principal=principal)
    impostor, node_id = started(stack, f"impostor-{secrets.token_hex(3)}", other["ip_address"], who)
    try:
        until(lambda: not impostor.running(), "the end of who cannot log in")
        assert "Failed NodeManager login" in impostor.log.read_text()
        assert node(node_id) is None
    finally:
        impostor.stop()


def test_a_machine_without_a_key_registers_nothing(stack: settings.Settings, other: dict[str, Any]) -> None:
    folder = stack.paths.state / "machines" / "impostor-keyless"
    manager = NodeManager(
        places_of(stack.paths), folder, other["ip_address"], host.look(stack.paths.state).java_home
    )
    shared = shared_files(stack, 1, 1024)
    shared["core-site.xml"] |= {"hadoop.security.authentication": "simple"}
    shared["core-site.xml"] |= {"hadoop.http.authentication.type": "simple"}
    ports = host.choose_ports(other["ip_address"], 47000)
    manager.start(shared, ports)
    try:
        until(lambda: "SIMPLE authentication is not enabled" in manager.log.read_text(), "the refusal")
        assert node(f"{other['ip_address']}:{ports.service}") is None
    finally:
        manager.stop()


def test_a_machine_registers_reports_and_signs_off_for_nobody_else(
    tool: Callable[..., tuple[int, str]], lent: Lent, other: dict[str, Any]
) -> None:
    """In YARN's own protocol. It could, were it asked only whether it is some NodeManager."""
    honest, own = f"{other['ip_address']}:{other['service_port']}", f"{lent.address}:1"
    code, said = tool(str(Path(__file__).with_name("Speaks.java")), honest, own)
    assert code == 0, said
    for word in ("register", "report", "leave"):
        assert f"{word} {honest} REFUSED {lent.identity.principal} may not speak for {honest}" in said, said
    assert f"leave {own} DONE" in said, "for itself it may speak"
    seen = node(honest)
    assert seen is not None
    assert seen.state == "RUNNING"


def test_another_key_comes_with_each_start_and_none_is_left_when_it_has_left(
    stack: settings.Settings, lenders: Callable[..., Agent], tmp_path: Path
) -> None:
    agent = lenders("renewed")
    machine = _lent(stack, agent)
    first = machine.identity
    assert login(stack, first.principal, tmp_path, first.keytab) == ""
    agent.process.kill()
    agent.process.wait()
    until(lambda: not agent.left_behind(), "the end of what the agent had started", 10)
    again = lenders("renewed")
    second = until(
        lambda: found if (found := identity_of(machine.folder)) and found.keytab != first.keytab else None,
        "another key",
        START_S,
    )
    again.wait("active", START_S)
    assert second.principal == first.principal
    assert login(stack, first.principal, tmp_path, first.keytab) != ""
    assert login(stack, second.principal, tmp_path, second.keytab) == ""
    again.interrupt()
    again.wait("left", 90)
    until(
        lambda: "not found in Kerberos database" in login(stack, second.principal, tmp_path, second.keytab),
        "the key to be withdrawn",
        30,
    )
    again.process.wait(60)
    assert identity_of(machine.folder) is None


LOOK = """
import glob, json, os, sys
seen = {"keys": [], "linked": []}
machine = os.getcwd().split("/work/")[0]
for root, _, names in os.walk(os.path.join(machine, "keys")):
    seen["keys"] += names
logs = os.environ["LOG_DIRS"].split(",")[0]
for name, target in {
    "leak-key": os.path.join(machine, "keys", "machine.keytab"),
    "leak-others": os.path.dirname(os.path.dirname(logs)),
    "leak-host": "/etc/os-release",
}.items():
    os.symlink(target, os.path.join(logs, name))
    seen["linked"].append(name)
print("SEEN " + json.dumps(seen), flush=True)
from pyspark.sql import SparkSession
SparkSession.builder.getOrCreate().range(1).count()
"""


def test_a_job_sees_no_key_and_no_link_among_its_logs_shows_it(
    stack: settings.Settings, stranger: Person, lent: Lent
) -> None:
    stranger.put("links/main.py", LOOK)
    job_id = stranger.submit("links")
    job = stranger.ended(job_id)
    assert job["status"] == "succeeded", job
    until(lambda: "SEEN" in stranger.log(job_id), "its log")
    assert '"keys": []' in stranger.log(job_id)
    assert "leak-host" in stranger.log(job_id)
    shown = [stranger.log(job_id, file=leak) for leak in ("leak-key", "leak-others", "leak-host")]
    assert lent.identity.principal.partition("/")[2].partition("@")[0] not in "".join(shown)
    assert "PRETTY_NAME" not in "".join(shown), "nor anything else that a link leads to"


@pytest.mark.parametrize("principal", ["nobody", "nm/127.0.99.99", "root/admin", "kadmin/admin", "K/M"])
def test_who_has_no_key_is_not_let_in_and_is_told_nothing(
    stack: settings.Settings, tmp_path: Path, principal: str
) -> None:
    wrong = login(stack, f"{principal}@{stack.security.realm}", tmp_path, word="guess")
    assert wrong, "nobody logs in with a word"


def test_guessing_at_the_realm_finds_nothing_and_hinders_nobody(
    stack: settings.Settings, lent: Lent, tmp_path: Path
) -> None:
    known = lent.identity
    for number in range(60):
        assert login(stack, known.principal, tmp_path, word=f"guess {number}")
    began = time.monotonic()
    assert login(stack, known.principal, tmp_path, known.keytab) == "", (
        "the machine is not locked out by others"
    )
    assert time.monotonic() - began < 10


def test_the_realm_s_server_outlives_what_no_client_sends(
    stack: settings.Settings, lent: Lent, tmp_path: Path
) -> None:
    address = (stack.bind, stack.port("kdc"))
    for junk in (
        b"",
        b"GET / HTTP/1.0\r\n\r\n",
        struct.pack(">I", 0),
        struct.pack(">I", 1 << 31),
        b"\xff" * 4096,
    ):
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(junk)
    held = [socket.create_connection(address, timeout=10) for _ in range(80)]  # and say nothing
    try:
        known = lent.identity
        assert login(stack, known.principal, tmp_path, known.keytab) == ""
    finally:
        for connection in held:
            connection.close()
