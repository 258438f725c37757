"""Every exchange has an end, whatever the other side does: with real servers on loopback."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from slow_server import OK, drips, request, sends, serving, whole

from market.cluster import http
from market.cluster.errors import ClusterUnavailable
from market.cluster.http import Bound, opened, send
from market.cluster.shares import Share

QUICK = Bound(wait_s=0.6, max_bytes=1 << 20)
ENDLESS = OK + b"Content-Length: 1000000\r\n\r\n"


@pytest.mark.parametrize(
    "serve",
    [
        drips(b"X", 0.05),
        drips(b"a", 0.05, first=OK + b"X-Long: "),
        drips(b"X-More: 1\r\n", 0.05, first=OK),
        drips(b"1", 0.05, first=ENDLESS),
        drips(b"1", 60, first=OK),
    ],
    ids=["no status", "one header", "headers", "body", "silence"],
)
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(serve: Callable[[socket.socket], None]) -> None:
    with serving(serve) as server:
        began = time.monotonic()
        with pytest.raises(ClusterUnavailable):
            send("GET", f"http://{server}/", QUICK)
        assert 0.5 < time.monotonic() - began < 5


@pytest.mark.parametrize("left_s", [0.0, -1.0])
def test_whoever_has_no_time_left_is_told_that_nobody_answered(left_s: float) -> None:
    """Of a time that several exchanges share the first ones may take all."""
    with serving(sends(OK + b"Content-Length: 0\r\n\r\n")) as server, pytest.raises(ClusterUnavailable):
        send("GET", f"http://{server}/", Bound(left_s, 1 << 20))


def test_a_body_has_a_bound_in_bytes() -> None:
    parts = itertools.chain([OK + b"\r\n"], itertools.repeat(b"x" * 65536))
    with (
        serving(sends(parts)) as server,
        pytest.raises(ClusterUnavailable, match="sends more than 1048576 bytes"),
    ):
        send("GET", f"http://{server}/", Bound(wait_s=60, max_bytes=1 << 20))


def test_a_large_body_has_the_time_that_its_size_needs() -> None:
    parts = [OK + b"Content-Length: 40000\r\n\r\n", *[b"x" * 1000] * 40]
    with serving(sends(parts, 0.04)) as server:  # 25 kB a second, 1.6 s
        bound = Bound(wait_s=0.6, max_bytes=1 << 20, bytes_per_s=15_000)
        assert len(send("GET", f"http://{server}/", bound).content) == 40_000
        with pytest.raises(ClusterUnavailable, match="broke off"):
            send("GET", f"http://{server}/", Bound(wait_s=0.6, max_bytes=1 << 20, bytes_per_s=1_000_000))


def test_a_server_may_be_slower_to_read_a_body_than_to_let_one_connect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "CONNECT_S", 0.2)

    def serve(connection: socket.socket) -> None:
        time.sleep(0.6)
        left = 32 << 20  # more than lies in between
        while left > 0:
            left -= len(connection.recv(1 << 20))
        connection.sendall(whole(b"{}"))

    with serving(serve) as server:
        bound = Bound(wait_s=10, max_bytes=1 << 20)
        assert send("PUT", f"http://{server}/", bound, data=b"x" * (32 << 20)).status_code == 200


def test_who_reads_slowly_does_not_use_up_the_server_s_time() -> None:
    body = b"x" * 8_000_000  # more than lies in between
    with serving(sends([whole(body)])) as server:
        answer = opened("GET", f"http://{server}/", Bound(wait_s=0.6, max_bytes=1 << 30))
        received = 0
        for number, chunk in enumerate(answer.chunks()):
            received += len(chunk)
            if number in (1, 20, 60):
                time.sleep(0.4)
        assert received == len(body)


def test_each_exchange_over_one_connection_has_a_bound_of_its_own() -> None:
    connections = []

    def serve(connection: socket.socket) -> None:
        connections.append(connection)
        while True:
            request(connection)
            time.sleep(0.4)
            connection.sendall(whole(b"{}"))

    with serving(serve) as server:
        for _ in range(3):
            assert send("GET", f"http://{server}/", QUICK).json() == {}
    assert len(connections) == 1


@pytest.mark.parametrize(("method", "answered"), [("GET", True), ("PUT", False)])
def test_a_connection_that_the_server_closed_while_it_stood_idle(method: str, answered: bool) -> None:
    """It takes the second request, and closes without an answer: what may be repeated is asked again."""
    turns = itertools.count()

    def serve(connection: socket.socket) -> None:
        first = next(turns) == 0
        request(connection)
        connection.sendall(whole(b"{}"))
        request(connection)
        if not first:
            connection.sendall(whole(b"{}"))

    with serving(serve) as server:
        send("GET", f"http://{server}/", QUICK)
        if answered:
            assert send(method, f"http://{server}/", QUICK).status_code == 200
        else:
            with pytest.raises(ClusterUnavailable):
                send(method, f"http://{server}/", QUICK)


def test_nothing_is_followed_kept_or_unpacked() -> None:
    asked: list[str] = []

    def serve(connection: socket.socket) -> None:
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(1 << 16)
                if not part:
                    return
                head += part
            asked.append(head.decode())
            moved = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nSet-Cookie: a=b\r\n"
            connection.sendall(whole(b"", moved))

    with serving(serve) as server:
        assert send("GET", f"http://{server}/one", QUICK).status_code == 307
        assert send("GET", f"http://{server}/two", QUICK).status_code == 307
    assert len(asked) == 2
    assert "cookie" not in asked[1].lower()
    assert "accept-encoding: identity" in asked[0].lower()


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_said_so(body: bytes) -> None:
    with serving(sends([whole(body)])) as server:
        answer = send("GET", f"http://{server}/", QUICK)
        with pytest.raises(ClusterUnavailable, match="did not answer with JSON"):
            answer.json()


def reading(url: str, share: str) -> threading.Thread:
    """Start a thread that waits for a server's answer for as long as that lets it."""

    def read() -> None:
        with suppress(ClusterUnavailable):
            send("GET", url, Bound(wait_s=30, max_bytes=1 << 30), share=Share(share))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def waited_for(count: int) -> None:
    until = time.monotonic() + 20
    while Share._waiting.total() != count:
        assert time.monotonic() < until, Share._waiting
        time.sleep(0.01)


@pytest.mark.parametrize("head", [b"", ENDLESS], ids=["no head", "a body without end"])
def test_one_slow_machine_holds_its_share_of_threads_and_no_more(head: bytes) -> None:
    with serving(drips(b"x", 0.05, head)) as slow, serving(sends([whole(b"{}")])) as well:
        threads = [reading(f"http://{slow}/", slow) for _ in range(4)]
        waited_for(4)
        began = time.monotonic()
        with pytest.raises(ClusterUnavailable, match="too many ask it now"):
            opened("GET", f"http://{slow}/", QUICK, Share(slow))
        assert time.monotonic() - began < 3, "who is refused does not wait for long"
        assert send("GET", f"http://{well}/", QUICK, share=Share(well)).json() == {}
    for thread in threads:
        thread.join(10)
    waited_for(0)


def test_slow_machines_together_leave_threads_for_others() -> None:
    with serving(drips(b"x", 0.05, ENDLESS)) as slow:
        threads = [reading(f"http://{slow}/", f"{slow} {number % 4}") for number in range(16)]
        waited_for(16)
        with pytest.raises(ClusterUnavailable, match="too many wait"):
            opened("GET", f"http://{slow}/", QUICK, Share("another"))
    for thread in threads:
        thread.join(10)
    waited_for(0)


def test_who_reads_slowly_takes_no_place() -> None:
    """Twenty people look at one machine's logs, and none of them reads on."""
    with serving(sends([whole(b"x" * 4_000_000)])) as server:
        bound = Bound(wait_s=5, max_bytes=1 << 30)
        answers = [opened("GET", f"http://{server}/", bound, Share(server)) for _ in range(20)]
        chunks = [answer.chunks() for answer in answers]
        for one in chunks:
            assert next(one)
        assert Share._waiting.total() == 0
        assert sum(map(len, chunks[7])) > 3_900_000
        for answer in answers:
            answer.close()


def test_what_cannot_be_reached_holds_no_place() -> None:
    with pytest.raises(ClusterUnavailable):
        send("GET", "http://127.0.0.1:1/", QUICK, share=Share("away"))
    assert not Share._waiting


def test_threads_do_not_share_a_bound() -> None:
    """A body that is read in another thread than the one that asked keeps the bound of its exchange."""
    with serving(drips(b"1", 0.05, first=ENDLESS)) as server:
        answer = opened("GET", f"http://{server}/", QUICK)
        http._local.bound = Bound(wait_s=3600, max_bytes=1)
        failed: list[BaseException] = []

        def read() -> None:
            try:
                list(answer.chunks())
            except ClusterUnavailable as error:
                failed.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        thread.join(10)
        assert failed
