"""The REST client: errors to act upon, and requests that are sent again only where that does no harm."""

from __future__ import annotations

import io
import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import slow_server
from servers import Answer, Received, free_port, serving
from slow_server import request as head
from slow_server import whole

from distributedmarket.client import (
    AGENTS,
    ONCE,
    BrokenOffError,
    MarketApiError,
    MarketClient,
    MarketClientError,
    NotRepeatableError,
    Retries,
    UnreachableError,
)

QUICK = Retries(attempts=3, first_s=0.01)
OK: Answer = (200, {}, b'{"fine": true}')
PROBLEM = {"Content-Type": "application/problem+json"}


def refusal(status: int, headers: dict[str, str] | None = None, **members: Any) -> Answer:
    body = {"type": "about:blank", "title": "Refused", "status": status, "detail": "Do this.", **members}
    return status, PROBLEM | (headers or {}), json.dumps(body).encode()


class Script:
    """A market that gives these answers, the last one again and again; None cuts the line."""

    def __init__(self, *answers: Answer | None) -> None:
        self.answers = list(answers)
        self.received: list[Received] = []

    def __call__(self, request: Received) -> Answer | None:
        self.received.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("Idempotency-Key") for request in self.received]


@pytest.fixture
def market() -> Iterator[Any]:
    """Return a function that makes a client of a market with a script."""
    stop = []

    def make(script: Any, **options: Any) -> MarketClient:
        running = serving(script)
        stop.append(running)
        return MarketClient(f"http://127.0.0.1:{running.__enter__()}", **({"retries": QUICK} | options))

    yield make
    for running in stop:
        running.__exit__(None, None, None)


def test_a_refusal_carries_its_status_and_the_problem_document(market: Any) -> None:
    refused = refusal(402, available="1.000000", needed="3.000000")
    with pytest.raises(MarketApiError, match=r"POST /market/api/v1/jobs: 402 Refused: Do this\.") as error:
        market(Script(refused)).post("/jobs", {})
    assert (error.value.status, error.value.detail) == (402, "Do this.")
    assert error.value.problem["needed"] == "3.000000"
    assert error.value.retry_after is None


def test_bad_input_is_told_by_field_and_a_named_problem_by_its_code(market: Any) -> None:
    with pytest.raises(MarketApiError) as error:
        market(Script(refusal(422, errors={"core_num": ["too many"]}, code="x"))).post("/jobs", {})
    assert error.value.errors == {"core_num": ["too many"]}
    assert error.value.code == "x"


def test_a_refusal_from_something_between_is_an_error_of_the_same_kind(market: Any) -> None:
    with pytest.raises(MarketApiError) as error:
        market(Script((418, {}, b"<html>")), retries=ONCE).get("/jobs")
    assert error.value.status == 418
    with pytest.raises(MarketClientError, match="no market"):
        market(Script((200, {}, b"<html>"))).get("/jobs")


@pytest.mark.parametrize("failure", [refusal(502), refusal(503), refusal(504), refusal(429), None])
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "POST"])
def test_what_does_no_harm_is_sent_again_after_a_failure(
    market: Any, method: str, failure: Answer | None
) -> None:
    script = Script(failure, failure, OK)
    client = market(script)
    calls: dict[str, Any] = {
        "GET": lambda: client.get("/jobs"),
        "DELETE": lambda: client.delete("/jobs/1"),
        "PUT": lambda: client.upload("a", b"bytes"),
        "POST": lambda: client.post("/jobs", {"a": 1}),
    }
    assert calls[method]() == {"fine": True}
    assert [request.method for request in script.received] == [method] * 3
    assert len({request.body for request in script.received}) == 1


def test_a_post_is_one_call_for_the_market_however_often_it_is_sent(market: Any) -> None:
    script = Script(None, OK)
    client = market(script)
    client.post("/jobs", {})
    client.post("/jobs", {})
    first, again, other = script.keys
    assert first == again != other
    assert first
    client.post("/jobs", {}, key="mine")
    assert script.keys[-1] == "mine"


def test_a_post_without_a_key_is_not_sent_again_when_it_may_have_been_carried_out(market: Any) -> None:
    for failure in (None, refusal(503)):
        script = Script(failure, OK)
        with pytest.raises(MarketClientError):
            market(script).post("/login", {}, key="")
        assert script.keys == [None]
    script = Script(refusal(429), OK)
    assert market(script).post("/login", {}, key="") == {"fine": True}


def test_what_never_left_is_sent_again_also_without_a_key() -> None:
    port = free_port()
    client = MarketClient(
        f"http://127.0.0.1:{port}", retries=Retries(attempts=20, first_s=0.05, longest_s=0.1)
    )
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(client.post("/login", {}, key="")))
    thread.start()
    with serving(Script(OK), port):
        thread.join(10)
    assert answers == [{"fine": True}]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 413, 422, 500])
def test_other_refusals_are_final(market: Any, status: int) -> None:
    script = Script(refusal(status), OK)
    with pytest.raises(MarketApiError) as error:
        market(script).get("/jobs")
    assert error.value.status == status
    assert len(script.received) == 1


def test_attempts_are_bounded_and_the_last_error_is_told(market: Any) -> None:
    script = Script(None)
    with pytest.raises(UnreachableError, match="does not answer"):
        market(script).get("/jobs")
    assert len(script.received) == QUICK.attempts
    script = Script(refusal(503, {"Retry-After": "0"}))
    with pytest.raises(MarketApiError) as error:
        market(script).get("/jobs")
    assert (error.value.status, error.value.retry_after) == (503, 0)
    assert len(script.received) == QUICK.attempts


def test_a_wait_that_is_too_long_is_left_to_the_caller(market: Any) -> None:
    script = Script(refusal(429, {"Retry-After": "3600"}), OK)
    with pytest.raises(MarketApiError) as error:
        market(script).get("/jobs")
    assert error.value.retry_after == 3600
    assert len(script.received) == 1


def test_a_file_is_sent_from_where_it_stood_each_time(market: Any, tmp_path: Path) -> None:
    script = Script(None, refusal(503), OK)
    path = tmp_path / "data"
    path.write_bytes(b"0123456789")
    market(script).upload("data", path)
    assert [request.body for request in script.received] == [b"0123456789"] * 3
    for make in (io.BytesIO, tempfile.TemporaryFile):
        script = Script(None, OK)
        with make() as file:
            file.write(b"0123456789")
            file.seek(4)
            market(script).upload("data", file)
        assert [request.body for request in script.received] == [b"456789"] * 2


def test_a_body_that_comes_once_is_not_sent_again_and_the_error_says_so(market: Any) -> None:
    script = Script(None, OK)
    with pytest.raises(NotRepeatableError, match="cannot be read twice"):
        market(script).upload("data", iter([b"01", b"23"]))
    assert len(script.received) == 1
    script = Script(refusal(503), OK)
    with pytest.raises(MarketApiError):
        market(script).upload("data", iter([b"01", b"23"]))
    assert [request.body for request in script.received] == [b"0123"]


def test_names_of_files_reach_the_market_as_they_are(market: Any) -> None:
    script = Script(OK)
    market(script).upload("in and out/ü 100%?.bin", b"")
    assert script.received[0].path.endswith("/files/in%20and%20out/%C3%BC%20100%25%3F.bin")


def test_a_query_may_have_any_name(market: Any, tmp_path: Path) -> None:
    script = Script(OK)
    asked = market(script)
    asked.get("/files", path="in and out")
    asked.text("/files", path="a")
    asked.download("/files", tmp_path / "file", path="b", file="c")
    asked.delete("/files", path="d")
    assert [request.path.rpartition("?")[2] for request in script.received] == [
        "path=in+and+out",
        "path=a",
        "path=b&file=c",
        "path=d",
    ]


class Market:
    """A market whose tokens are refused after their first use."""

    def __init__(self) -> None:
        self.logins = 0
        self.valid: set[str] = set()
        self.password = "word"
        self.received: list[Received] = []

    def __call__(self, request: Received) -> Answer:
        self.received.append(request)
        if request.path.endswith("/login"):
            if json.loads(request.body)["password"] != self.password:
                return refusal(401)
            self.logins += 1
            self.valid.add(f"token{self.logins}")
            return 200, {}, json.dumps({"access_token": f"token{self.logins}"}).encode()
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return OK if token in self.valid else refusal(401)


def test_an_expired_token_is_renewed_once_for_all_that_share_it(market: Any) -> None:
    served = Market()
    client = market(served).login("ada", "word")
    agents = client.using(prefix=AGENTS, retries=ONCE)
    assert client.get("/jobs") == {"fine": True}
    served.valid.clear()
    assert agents.post("/machines", {"a": 1}) == {"fine": True}
    assert client.get("/jobs") == {"fine": True}
    assert served.logins == 2
    assert client.token == agents.token == "token2"
    twice = [request for request in served.received if request.path == "/market/agent/v1/machines"]
    assert [request.body for request in twice] == [b'{"a": 1}'] * 2
    assert len({request.headers["Idempotency-Key"] for request in twice}) == 1


def test_threads_that_are_refused_together_log_in_once(market: Any) -> None:
    served = Market()
    client = market(served).login("ada", "word")
    served.valid.clear()
    threads = [threading.Thread(target=client.get, args=("/jobs",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert served.logins == 2


def test_a_password_that_was_changed_ends_in_the_refusal_of_the_login(market: Any) -> None:
    served = Market()
    client = market(served).login("ada", "word")
    served.valid.clear()
    served.password = "another"
    with pytest.raises(MarketApiError, match="/login: 401"):
        client.get("/jobs")


def test_no_error_holds_a_secret(market: Any) -> None:
    served = Market()
    with pytest.raises(MarketApiError) as refused:
        market(served).login("ada", "swordfish")
    client = market(served).login("ada", "word")
    served.valid.clear()
    served.password = "another"
    with pytest.raises(MarketApiError) as expired:
        client.get("/jobs")
    away = MarketClient(f"http://ada:swordfish@127.0.0.1:{free_port()}", token="sesame", retries=ONCE)
    with pytest.raises(UnreachableError) as gone:
        away.post("/login", {"password": "swordfish"})
    for error in (refused, expired, gone):
        shown = f"{error.value} {error.value!r} {error.value.__cause__} {vars(error.value)}"
        assert not {word for word in ("swordfish", "token1", "sesame") if word in shown}
    assert "swordfish" not in repr(client._login)
    assert "token" not in repr(client._login)


def test_a_download_that_breaks_off_is_told(market: Any, tmp_path: Path) -> None:
    client = market(Script((200, {"Content-Length": "100"}, b"half")))
    with pytest.raises(BrokenOffError, match="broke off while it sent"):
        client.download("/files/large", tmp_path / "large")
    market(Script((200, {}, b"whole"))).download("/files/large", tmp_path / "large")
    assert (tmp_path / "large").read_bytes() == b"whole"
    with pytest.raises(MarketApiError) as error:
        market(Script(refusal(404))).download("/files/none", tmp_path / "none")
    assert error.value.status == 404
    assert not (tmp_path / "none").exists()


def test_an_answer_that_breaks_off_is_asked_for_again(market: Any) -> None:
    script = Script((200, {"Content-Length": "100"}, b'{"fi'), OK)
    assert market(script).get("/jobs") == {"fine": True}


def test_an_answer_whose_head_was_cut_is_none(tmp_path: Path) -> None:
    """Between two of its lines, or in one: to Python the head is whole then, and the body empty."""
    heads = [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length:",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chun",
        b"HTTP/1.1 200 OK\r\nETag: 1\r\nContent-",
    ]
    answers = [part for cut in heads for part in (cut, whole(b"{}"))]

    def serve(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(answers.pop(0))

    with slow_server.serving(serve) as address:
        client = MarketClient(f"http://{address}", retries=QUICK)
        assert [client.get("/jobs") for _ in heads[1:]] == [{}] * 3
        client.download("/files/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"{}"


def test_any_answer_can_be_had_as_it_is(market: Any) -> None:
    answer = market(Script(refusal(404)), token="sesame").exchange("POST", "/jobs", json={"a": 1})
    assert answer.status_code == 404


@pytest.mark.parametrize("url", ["10.8.0.1:8080", "ftp://10.8.0.1", "http://", ""])
def test_an_address_that_is_none_is_told_at_once(url: str) -> None:
    with pytest.raises(MarketClientError, match="https://HOST:PORT"):
        MarketClient(url)
