"""Bodies that come slowly, stop, never begin, or do not end: at a real server, over raw connections."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import servers
import uvicorn
from fastapi import FastAPI, Request

from market.kit.errors import MarketError
from market.web.api import problems, routing, streams
from market.web.api.bodies import Bodies
from market.web.api.shares import Shares

_SILENCE_S = 1.0
_UPLOAD = "/market/api/v1/files/"

Connect = Callable[[], socket.socket]


@contextmanager
def served(silence_s: float) -> Iterator[tuple[str, int]]:
    """Serve an application that takes files and JSON."""
    app = FastAPI()
    problems.register(app)
    app.add_middleware(problems.Shield)
    app.add_middleware(Bodies, silence_s=silence_s, most_bytes=100_000)

    @app.put(_UPLOAD + "{path:path}", status_code=201)
    async def put(request: Request, path: str) -> dict[str, int]:
        upload = streams.Upload(request)
        return {"size": await upload.into(lambda chunks: sum(map(len, chunks)), request.headers["X-Who"])}

    @app.post("/json")
    async def take(request: Request, body: routing.Json) -> Any:
        return body

    @app.post("/whole")
    async def whole(request: Request) -> Any:  # as Airflow's own routes read a body
        return len(await request.body())

    port = servers.free_port()
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.02)
    yield "127.0.0.1", port
    server.should_exit = True
    server.force_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def impatient() -> Iterator[tuple[str, int]]:
    with served(_SILENCE_S) as address:
        yield address


@pytest.fixture(scope="module")
def patient() -> Iterator[tuple[str, int]]:
    with served(60) as address:
        yield address


@pytest.fixture
def begun(request: pytest.FixtureRequest) -> Iterator[Callable[..., socket.socket]]:
    """Return a function that begins a request, and closes its connection in the end."""
    address = request.getfixturevalue(getattr(request, "param", "impatient"))
    opened = []

    def begin(method: str, path: str, length: int, first: bytes = b"", who: str = "anna") -> socket.socket:
        line = socket.create_connection(address, timeout=20)
        opened.append(line)
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-Who: {who}\r\nContent-Length: {length}\r\n\r\n"
        line.sendall(head.encode() + first)
        return line

    yield begin
    for line in opened:
        line.close()


def answered(line: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Return the status, headers and JSON of an answer."""
    with closing(line.makefile("rb")) as file:
        status = int(file.readline().split()[1])
        headers: dict[str, str] = {}
        while (text := file.readline().decode().strip()) != "":
            name, _, value = text.partition(": ")
            headers[name.lower()] = value
        return status, headers, json.loads(file.read(int(headers["content-length"])))


def test_a_slow_upload_may_take_as_long_as_it_needs(begun) -> None:
    line = begun("PUT", _UPLOAD + "slow.bin", 12)
    for _ in range(12):  # three times as long as a silence may be
        time.sleep(_SILENCE_S / 4)
        line.sendall(b"x")
    assert answered(line)[0::2] == (201, {"size": 12})


@pytest.mark.parametrize(
    ("method", "path", "first"),
    [
        ("PUT", _UPLOAD + "a.bin", b""),
        ("PUT", _UPLOAD + "a.bin", b"x"),
        ("POST", "/json", b"{"),
        ("POST", "/whole", b""),
    ],
)
def test_a_body_that_does_not_go_on_is_cut(begun, method: str, path: str, first: bytes) -> None:
    started = time.monotonic()
    status, headers, found = answered(line := begun(method, path, 100, first))
    assert status == 408
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert found["detail"] == "Nothing came for 1 s. Send it again."
    assert _SILENCE_S * 0.9 < time.monotonic() - started < 10
    assert line.recv(1) == b"", "the connection is closed"


def test_a_body_that_is_read_whole_has_a_bound(begun) -> None:
    line = begun("POST", "/whole", 1 << 30, b"x" * 150_000)
    assert answered(line)[0] == 413
    line = begun("PUT", _UPLOAD + "large.bin", 150_000, b"x" * 150_000)
    assert answered(line)[0::2] == (201, {"size": 150_000}), "uploads have a limit of their own"


@pytest.mark.parametrize("begun", ["patient"], indirect=True)
def test_stalled_uploads_of_one_stop_nobody_else(begun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_shares", Shares(each=2, everybody=100, waiting=20, patience_s=20.0))
    monkeypatch.setattr(streams, "_CHUNK", 10)
    stalled = [begun("PUT", _UPLOAD + f"{n}.bin", 10**6, b"x" * 1000, who="anna") for n in range(20)]
    started = time.monotonic()
    line = begun("PUT", _UPLOAD + "mine.bin", 5, b"12345", who="bert")
    assert answered(line)[0::2] == (201, {"size": 5})
    assert time.monotonic() - started < 20, "before any of the others was cut"
    assert select.select(stalled, [], [], 0)[0] == [], "and none of them has an answer"


@pytest.mark.parametrize("begun", ["patient"], indirect=True)
def test_who_has_his_share_waits_and_is_told_if_it_takes_too_long(
    begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_shares", Shares(each=1, everybody=100, waiting=2, patience_s=20.0))
    first = begun("PUT", _UPLOAD + "1.bin", 10, b"x")
    second = begun("PUT", _UPLOAD + "2.bin", 3, b"abc")
    first.sendall(b"x" * 9)
    assert [answered(line)[0] for line in (first, second)] == [201, 201]
    monkeypatch.setattr(streams, "_shares", Shares(each=1, everybody=100, waiting=2, patience_s=0.1))
    begun("PUT", _UPLOAD + "3.bin", 10, b"x")
    until = time.monotonic() + 10
    while not streams._shares._taken:
        assert time.monotonic() < until
        time.sleep(0.01)
    status, headers, found = answered(begun("PUT", _UPLOAD + "4.bin", 3, b"abc"))
    assert (status, headers["retry-after"]) == (429, "5")
    assert "1 files at a time" in found["detail"]


@pytest.mark.parametrize("length", ["²", "-1", "1" * 5000, "1e3"])
def test_a_length_that_is_none(length: str) -> None:
    scope = {"type": "http", "method": "PUT", "headers": [(b"content-length", length.encode("latin-1"))]}
    with pytest.raises(MarketError) as caught:
        streams.Upload(Request(scope))
    assert caught.value.status == 422
