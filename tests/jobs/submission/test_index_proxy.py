"""Packages are fetched from their index and from nowhere else, through the operator's proxy or not."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from package_index import Index, index

from market.jobs.submission import environment_build
from market.jobs.submission.index_proxy import DOOR, IndexProxy

HOST = "packages.example.org"
# As the sandbox's Python does it, and then instead of uv: asks for what its arguments say.
ASKS = """
import os, socket, sys
door = os.environ["HTTP_PROXY"].rpartition(":")[2]
for request in sys.argv[1:]:
    with socket.create_connection(("127.0.0.1", int(door)), timeout=20) as line:
        line.sendall(request.encode().decode("unicode_escape").encode())
        answer = b""
        while more := line.recv(65536):
            answer += more
        print(answer.decode().splitlines()[0], "|", answer.decode().splitlines()[-1])
"""


@pytest.fixture
def packages() -> Iterator[Index]:
    with index() as made:
        made.wheel("probe", "1.0", {"probe.py": ""})
        yield made


def ask(index_url: str, *requests: str, before: tuple[str, ...] = ()) -> list[str]:
    """Return the first and the last line of what the proxy answers to requests."""
    with IndexProxy(index_url).channel() as channel:
        command = [*before, "/usr/bin/python3", "-I", "-c", DOOR, str(channel.fileno())]
        done = subprocess.run(
            [*command, "/usr/bin/python3", "-c", ASKS, *requests],
            pass_fds=[channel.fileno()],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def get(url: str) -> str:
    return f"GET {url} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"


def connect(place: str) -> str:
    return f"CONNECT {place} HTTP/1.1\\r\\n\\r\\n"


@contextmanager
def listening(answer: bytes = b"") -> Iterator[tuple[int, list[bytes]]]:
    """Listen on this host; yield the port, and the first bytes of each connection."""
    heard: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line:
                line.settimeout(20)
                heard.append(line.recv(65536))
                line.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
    thread.join(20)


def test_the_index_is_open_wherever_it_is(packages: Index) -> None:
    (answer,) = ask(packages.address, get(f"{packages.address}/probe/"))
    assert answer.startswith("HTTP/1.0 200 OK")
    assert "probe-1.0" in answer
    assert packages.asked == ["GET /simple/probe/"]


def test_nothing_else_is(packages: Index) -> None:
    with listening() as (port, heard):
        answers = ask(
            packages.address,
            get(f"http://127.0.0.1:{port}/"),
            connect(f"localhost:{port}"),
            connect("127.0.0.1:80"),
            connect("169.254.169.254:80"),
            connect("[::1]:443"),
            connect("files.example.org:443"),
            connect("nonsense"),
            f"POST {packages.address} HTTP/1.1\\r\\nContent-Length: 0\\r\\n\\r\\n",
            "nonsense\\r\\n\\r\\n",
        )
    assert [answer.split(" | ")[0] for answer in answers] == ["HTTP/1.1 403 Forbidden"] * 9
    assert heard == []
    assert packages.asked == []


@pytest.fixture
def operator_s_proxy(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)

    def use(port: int) -> None:
        monkeypatch.setenv("https_proxy", f"http://anna:s%20e@127.0.0.1:{port}")

    return use


def test_what_is_open_goes_through_the_operator_s_own_proxy(operator_s_proxy: Callable[[int], None]) -> None:
    with listening(b"HTTP/1.1 200 OK\r\n\r\nhello") as (port, heard):
        operator_s_proxy(port)
        answers = ask(f"https://{HOST}/simple", connect(f"{HOST}:443"), connect("169.254.169.254:443"))
    assert answers[0].startswith("HTTP/1.1 200 Connected")
    assert answers[1].startswith("HTTP/1.1 403")
    (asked,) = heard
    assert asked.startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic YW5uYTpzIGU=" in asked


def test_the_sandbox_has_no_other_way_out(packages: Index, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    sandbox = tuple(environment_build._sandbox(tmp_path / "work"))
    (answer,) = ask(packages.address, get(f"{packages.address}/probe/"), before=sandbox)
    assert answer.startswith("HTTP/1.0 200 OK")
    port = int(packages.address.split(":")[2].split("/")[0])
    script = (
        "import socket, sys\n"
        f"for place in (('127.0.0.1', {port}), ('8.8.8.8', 53), ('169.254.169.254', 80)):\n"
        "    try:\n        socket.create_connection(place, 2)\n        print('open', place)\n"
        "    except OSError:\n        print('closed')\n"
    )
    shown = subprocess.run(
        [*sandbox, "/usr/bin/python3", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert shown.stdout.split() == ["closed"] * 3, shown.stderr
