"""Connections that send nothing, or a part of a request's head, at a real server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest
import servers
import uvicorn
from uvicorn.importer import import_from_string

from market.airflow import api_server, http_protocol
from market.airflow.http_protocol import PatientProtocol

_HEAD_S = 1.0
_READ_S = 1.0
_LARGE = 32 << 20  # more than the system takes for a client that does not read
_REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Noted(PatientProtocol):
    """Notes its connections."""

    made: ClassVar[list[PatientProtocol]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.made.append(self)


async def answering(scope, receive, send) -> None:
    if scope["path"] == "/long":
        await asyncio.sleep(2.5 * _HEAD_S)
    if scope["path"] == "/large":
        await large(send)
        return
    body = (await receive()).get("body", b"")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok" if not body else body[:2]})


async def large(send) -> None:
    length = str(_LARGE).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    for left in range(_LARGE >> 20, 0, -1):
        await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": left > 1})


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[], socket.socket]]:
    before = http_protocol.HEAD_S, http_protocol.READ_S, http_protocol.LEAST_BYTES_S
    http_protocol.HEAD_S, http_protocol.READ_S, http_protocol.LEAST_BYTES_S = _HEAD_S, _READ_S, 1 << 20
    port = servers.free_port()
    config = uvicorn.Config(answering, "127.0.0.1", port, http=Noted, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.02)
    yield lambda: socket.create_connection(("127.0.0.1", port), timeout=20)
    server.should_exit = server.force_exit = True
    thread.join(20)
    http_protocol.HEAD_S, http_protocol.READ_S, http_protocol.LEAST_BYTES_S = before


def is_closed_in_time(line: socket.socket) -> None:
    started = time.monotonic()
    while line.recv(1000):
        pass
    assert time.monotonic() - started < 10 * _HEAD_S


@pytest.mark.parametrize("sent", [b"", b"\r\n", _REQUEST[:-2]])
def test_a_head_that_does_not_come_ends_the_connection(connect, sent: bytes) -> None:
    with connect() as line:
        line.sendall(sent)
        is_closed_in_time(line)


def test_a_head_that_comes_in_drops_ends_it_as_well(connect) -> None:
    with connect() as line:
        line.settimeout(_HEAD_S / 20)
        started, closed = time.monotonic(), False
        while not closed and time.monotonic() < started + 10 * _HEAD_S:
            try:
                line.sendall(b"X")
                closed = not line.recv(1000)
            except TimeoutError:
                continue  # nothing was said yet
            except OSError:
                closed = True
        assert closed


@pytest.mark.parametrize("more", [b"", b"GET / HT"])
def test_the_second_request_has_the_same_time(connect, more: bytes) -> None:
    with connect() as line:
        line.sendall(_REQUEST)
        assert b"200 OK" in line.recv(1000)
        time.sleep(1.5 * _HEAD_S)  # to be silent between two requests is allowed
        line.sendall(more or _REQUEST)
        if more:
            is_closed_in_time(line)
        else:
            assert b"200 OK" in line.recv(1000)


def test_an_answer_may_take_longer_than_a_question(connect) -> None:
    with connect() as line:
        line.sendall(_REQUEST.replace(b"/ ", b"/long "))
        assert b"200 OK" in line.recv(1000)
        line.sendall(_REQUEST + _REQUEST)
        got = b""
        while got.count(b"200 OK") < 2:
            got += line.recv(1000)


def test_an_answer_that_nobody_reads_ends_the_connection(connect) -> None:
    """It has a second here, and one for each MiB that waits."""
    before = len(Noted.made)
    with connect() as line:
        line.sendall(_REQUEST.replace(b"/ ", b"/large "))
        until = time.monotonic() + 30
        while len(Noted.made) == before or not Noted.made[-1].transport.is_closing():
            assert time.monotonic() < until, "it is served for ever"
            time.sleep(0.05)
        got = 0
        with contextlib.suppress(ConnectionResetError):
            while more := line.recv(1 << 20):
                got += len(more)
        assert got < _LARGE


def test_one_that_is_read_slowly_comes_whole(connect) -> None:
    """Its end is long after the second that an answer has in any case."""
    with connect() as line:
        line.sendall(_REQUEST.replace(b"/ ", b"/large "))
        got, began = 0, time.monotonic()
        while got < _LARGE:
            more = line.recv(1 << 20)
            assert more, f"cut after {got} bytes"
            got += len(more)
            time.sleep(max(0.0, began + got / (16 << 20) - time.monotonic()))
        assert time.monotonic() - began > 1.5 * _READ_S


def test_the_next_answer_of_a_connection_has_its_own_time(connect) -> None:
    with connect() as line:
        line.sendall(_REQUEST)
        assert b"200 OK" in line.recv(1000)
        Noted.made[-1]._slack_s = 0.0  # the first one was read late
        line.sendall(_REQUEST)
        assert b"200 OK" in line.recv(1000)
        assert Noted.made[-1]._slack_s == _READ_S


def test_the_api_server_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(uvicorn.config, "HTTP_PROTOCOLS", dict(uvicorn.config.HTTP_PROTOCOLS))
    monkeypatch.setattr(api_server.sys, "argv", ["x"])
    monkeypatch.setattr(api_server, "airflow_main", lambda: asked.extend(api_server.sys.argv))
    api_server.main()
    assert asked == ["airflow", "api-server"]
    assert import_from_string(uvicorn.config.HTTP_PROTOCOLS[uvicorn.Config("x:y").http]) is PatientProtocol
