"""A container reaches the market's services and its own job, and nothing else of its host."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from distributedmarket.agent import groups, network
from distributedmarket.agent.network import Wall

OWN, OTHER = "127.0.0.21", "127.0.0.22"
ENTER = "import json, os, socket, sys\nopen(sys.argv[1] + '/cgroup.procs', 'w').write(str(os.getpid()))\n"
LISTEN = """
server = socket.create_server((sys.argv[2], 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""
KNOCK = """
def knock(kind, family, address, port):
    with socket.socket(family, kind) as client:
        client.settimeout(0.7)
        try:
            client.connect((address, port))
            if kind == socket.SOCK_DGRAM:
                client.send(b"x")
                client.recv(1)
            return "reached"
        except OSError as error:
            return type(error).__name__

four, six = socket.AF_INET, socket.AF_INET6
kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
print(json.dumps([
    knock(kinds[kind], six if ":" in address else four, address, port)
    for kind, address, port in json.loads(sys.argv[2])
]))
"""
BIND = """
def bind(family, address):
    with socket.socket(family) as server:
        try:
            server.bind((address, 0))
            return True
        except OSError:
            return False

print(json.dumps([bind(socket.AF_INET6 if ":" in a else socket.AF_INET, a) for a in json.loads(sys.argv[2])]))
"""


class Host:
    """Control groups in which programs run, on this host, with walls around them."""

    def __init__(self, folder: Path, ends: ExitStack) -> None:
        self.folder, self._ends = folder, ends

    def wall(self, own: str = OWN, **doors: list[tuple[str, int]]) -> Wall:
        made = Wall(self.folder.parent, own, **doors)
        self._ends.callback(made.take_down)
        return made

    def container(self, wall: Wall, application: str) -> Path:
        group = self.folder / f"container-{secrets.token_hex(4)}"
        group.mkdir(parents=True)
        self._ends.callback(group.rmdir)
        wall.around(group, application)
        return group

    def listen(self, group: Path, address: str) -> int:
        program = subprocess.Popen(
            [sys.executable, "-c", ENTER + LISTEN, str(group), address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._ends.enter_context(program)
        self._ends.callback(program.communicate)
        assert program.stdout is not None
        return int(program.stdout.readline())


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    folder = groups.usable(tmp_path) if os.geteuid() == 0 else None
    if folder is None or not network.usable(folder, OWN):
        pytest.skip("only root holds the network of control groups, where the kernel has eBPF for them")
    with ExitStack() as ends:
        ends.callback(lambda: folder.rmdir() if folder.exists() else None)
        yield Host(folder, ends)


@pytest.fixture
def service() -> Iterator[Callable[..., int]]:
    """Return what opens a service of the host on an address."""
    with ExitStack() as ends:

        def opened(address: str = "127.0.0.1", kind: int = socket.SOCK_STREAM) -> int:
            server = ends.enter_context(
                socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            )
            server.bind((address, 0))
            if kind == socket.SOCK_STREAM:
                server.listen()
            return int(server.getsockname()[1])

        yield opened


def told(group: Path, program: str, question: object) -> list[object]:
    words = [sys.executable, "-c", ENTER + program, str(group), json.dumps(question)]
    answer = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found: list[object] = json.loads(answer)
    return found


def test_of_its_host_it_reaches_the_services_of_the_market_alone(
    host: Host, service: Callable[..., int]
) -> None:
    market, database, six = service(), service(), service("::1")
    everywhere, names = service("0.0.0.0"), service(kind=socket.SOCK_DGRAM)
    node = service(OTHER)
    outside = next(
        iter(one for one in network.local_addresses() if not one.startswith(("127.", "::1", "fe80"))), OWN
    )
    host.wall(OTHER, node=[(OTHER, node)])
    group = host.container(host.wall(services=[("127.0.0.1", market)]), "application_1_0001")
    knocks = {
        ("tcp", "127.0.0.1", market): "reached",
        ("tcp", OTHER, node): "reached",  # a NodeManager of this host
        ("tcp", OTHER, service(OTHER)): "TimeoutError",
        # A machine of this host that nobody holds: its lender is not root.
        ("tcp", "127.9.9.8", service("127.9.9.8")): "reached",
        ("tcp", "127.0.0.1", database): "TimeoutError",
        ("tcp", "::ffff:127.0.0.1", database): "TimeoutError",
        ("tcp", "0.0.0.0", database): "TimeoutError",
        ("tcp", "127.9.9.9", everywhere): "TimeoutError",
        ("tcp", outside, everywhere): "TimeoutError",
        ("tcp", "::1", six): "TimeoutError",
        ("udp", "127.0.0.1", names): "PermissionError",
    }
    assert told(group, KNOCK, list(knocks)) == list(knocks.values())


def test_where_clouds_tell_secrets_it_sends_nothing(host: Host) -> None:
    group = host.container(host.wall(), "application_1_0001")
    addresses = ["169.254.169.254", "::ffff:169.254.169.254", "100.100.100.200", "fd00:ec2::254"]
    knocks = [(kind, address, 80) for address in addresses for kind in ("tcp", "udp")]
    assert set(told(group, KNOCK, knocks)) == {"PermissionError"}


def test_containers_of_one_job_speak_to_each_other_and_to_no_other_job(host: Host) -> None:
    here, there = host.wall(), host.wall(OTHER)  # two machines of one host
    driver = host.container(here, "application_1_0001")
    port = host.listen(driver, OWN)
    executor = host.container(there, "application_1_0001")
    stranger, neighbour = (
        host.container(there, "application_1_0002"),
        host.container(here, "application_1_0002"),
    )
    asked = [("tcp", OWN, port)]
    assert [told(group, KNOCK, asked) for group in (driver, executor)] == [["reached"], ["reached"]]
    assert [told(group, KNOCK, asked) for group in (stranger, neighbour)] == [["TimeoutError"]] * 2
    assert told(stranger, KNOCK, [("tcp", OWN, 9)]) == ["ConnectionRefusedError"]


def test_it_takes_no_address_but_its_machine_s(host: Host) -> None:
    group = host.container(host.wall(), "application_1_0001")
    taken = {"127.0.0.1": True, OWN: True, "0.0.0.0": True, "::": True, "::1": True}
    taken |= {f"::ffff:{OWN}": True, OTHER: False, "127.9.9.9": False, f"::ffff:{OTHER}": False}
    assert told(group, BIND, list(taken)) == list(taken.values())
