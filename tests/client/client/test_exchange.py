"""An agent's exchanges end, whatever the other side does: with real servers on loopback."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
import requests
from slow_server import OK, drips, sends, serving, whole
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NameResolutionError

from distributedmarket.agent import containers
from distributedmarket.client import MarketClient, UnreachableError
from distributedmarket.client.retries import ONCE
from distributedmarket.client.transport import exchange

ENDLESS = OK + b"Content-Length: 1000000\r\n\r\n"
SLOW = [
    drips(b"X", 0.05),
    drips(b"X-More: 1\r\n", 0.05, first=OK),
    drips(b"1", 0.05, first=ENDLESS),
    drips(b"1", 60, first=OK),
]


@pytest.mark.parametrize("serve", SLOW, ids=["no status", "headers", "body", "silence"])
def test_a_market_that_sends_a_byte_now_and_then_is_given_up(serve: Callable[[socket.socket], None]) -> None:
    with serving(serve) as address:
        market = MarketClient(f"http://{address}").using(retries=ONCE)
        began = time.monotonic()
        with pytest.raises(UnreachableError):
            market.post("/machines/1/heartbeat", {}, key="", read_s=0.6)
        assert 0.5 < time.monotonic() - began < 5


def test_an_answer_has_a_bound_in_bytes() -> None:
    with (
        serving(sends([whole(b"x" * 100_000)])) as address,
        exchange.session() as session,
        pytest.raises(requests.RequestException, match="more than 50000 bytes"),
    ):
        exchange.send(session, "GET", f"http://{address}/", 5, max_bytes=50_000)


def test_a_stream_may_take_longer_than_its_head() -> None:
    parts = [OK + b"Content-Length: 30\r\n\r\n", *[b"x"] * 30]
    with serving(sends(parts, 0.03)) as address, exchange.session() as session:
        answer = exchange.send(session, "GET", f"http://{address}/", 0.5, stream=True)
        assert b"".join(answer.iter_content(1)) == b"x" * 30


def test_a_node_manager_that_drips_holds_the_agent_for_a_moment_only() -> None:
    with serving(drips(b"1", 0.05, first=ENDLESS)) as address:
        host, port = address.split(":")
        began = time.monotonic()
        assert containers.running(host, int(port)) == []
        assert time.monotonic() - began < 5


def test_who_does_not_answer_is_told_in_one_plain_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UnreachableError) as away:
        MarketClient(address).using(retries=ONCE).get("/jobs")
    assert str(away.value) == (
        f"the market at {address} does not answer: nobody listens there; check the address, and whether the"
        " market runs"
    )


def of(reason: Exception) -> requests.ConnectionError:
    return requests.ConnectionError(MaxRetryError(HTTPConnectionPool("market"), "/secret", reason))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            of(NameResolutionError("market", HTTPConnection("market"), socket.gaierror(-2, "?"))),
            "name is not",
        ),
        (requests.ConnectTimeout("HTTPConnectionPool"), "no connection within 10 s"),
        (requests.ReadTimeout("HTTPConnectionPool"), "takes too long"),
        (requests.exceptions.SSLError("WRONG_VERSION_NUMBER"), "does not speak TLS"),
        (requests.ConnectionError("Connection aborted"), "broke off"),
        (requests.ConnectionError(), "broke off"),
    ],
)
def test_why_nobody_answers_repeats_nothing_that_was_sent(
    error: requests.RequestException, words: str
) -> None:
    why = exchange.why_silent(error)
    assert words in why
    assert "Pool" not in why
    assert "secret" not in why
