"""`Idempotency-Key`: one run for one key, whoever asks how often and at what moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient
from ledger_world import World

from market.kit.errors import ConflictError, OverLimitError
from market.people.member import Member
from market.web.api import caller, idempotency, problems, routing
from market.web.api.caller import Caller
from market.web.api.routes import jobs

pytestmark = pytest.mark.database


@dataclass
class Counter:
    """A route that counts its runs, and can be held up or made to fail."""

    runs: int = 0
    fails: list[Exception] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def counter() -> Counter:
    made = Counter()
    made.free.set()
    return made


@pytest.fixture
def post(world: World, counter: Counter, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    people = {name: Member(world.member(), name, "") for name in ("anna", "bert")}

    def known(request: Request) -> Member:
        return people[request.headers.get("X-Who", "anna")]

    asked_for = caller.current
    monkeypatch.setattr(caller, "current", known)
    router = routing.router()

    @router.post("/count", status_code=201)
    def count(body: routing.Json) -> dict[str, Any]:
        counter.begun.set()
        assert counter.free.wait(20)
        counter.runs += 1
        if counter.fails:
            raise counter.fails.pop()
        return {"run": counter.runs, "sent": body}

    @router.get("/whoever")
    def whoever(member: Caller) -> Response:
        raise AssertionError("not asked")

    app = FastAPI()
    problems.register(app)
    app.include_router(router)
    app.include_router(jobs.router)
    app.dependency_overrides[asked_for] = known
    app.add_middleware(problems.Shield)

    def send(key: str | None, body: object, path: str = "/count", who: str = "anna") -> Any:
        headers = {"X-Who": who} | ({} if key is None else {idempotency.HEADER: key})
        with TestClient(app, raise_server_exceptions=False) as client:
            return client.post(path, json=body, headers=headers)

    return send


def test_the_same_key_and_body_gives_the_first_answer(post: Callable[..., Any], counter: Counter) -> None:
    first, second = post("k", {"a": 1}), post("k", {"a": 1})
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json() == {"run": 1, "sent": {"a": 1}}
    assert idempotency.REPLAYED not in first.headers
    assert second.headers[idempotency.REPLAYED] == "true"
    assert second.headers["content-type"] == first.headers["content-type"]
    assert counter.runs == 1


def test_without_a_key_each_request_runs(post: Callable[..., Any], counter: Counter) -> None:
    post(None, {})
    post(None, {})
    assert counter.runs == 2


def test_another_body_is_refused(post: Callable[..., Any], counter: Counter) -> None:
    post("k", {"a": 1})
    answer = post("k", {"a": 2})
    assert answer.status_code == 422
    assert idempotency.HEADER in answer.json()["errors"]
    assert counter.runs == 1


def test_a_key_belongs_to_a_user_and_an_address(post: Callable[..., Any], counter: Counter) -> None:
    post("k", {})
    assert post("k", {}, who="bert").json()["run"] == 2
    assert post("k", {}, path="/count?dry_run=true").json()["run"] == 3
    assert post("k2", {}).json()["run"] == 4


@pytest.mark.parametrize("key", ["", "k" * 256, "ü", "a\tb"])
def test_a_key_that_is_none(post: Callable[..., Any], counter: Counter, key: str) -> None:
    encoded: Any = key.encode("latin-1")
    assert post(encoded, {}).status_code == 422
    assert counter.runs == 0


def test_a_twin_waits_for_the_first_one_s_answer(post: Callable[..., Any], counter: Counter) -> None:
    counter.free.clear()
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(post, "k", {})
        assert counter.begun.wait(20)
        twins = [threads.submit(post, "k", {}) for _ in range(3)]
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert not any(twin.done() for twin in twins)
            time.sleep(0.05)
        counter.free.set()
        assert {one.result(20).json()["run"] for one in (first, *twins)} == {1}
    assert counter.runs == 1


def test_a_refusal_is_an_answer_like_any_other(post: Callable[..., Any], counter: Counter) -> None:
    counter.fails = [ConflictError("taken")]
    assert post("k", {}).status_code == 409
    again = post("k", {})
    assert again.status_code == 409
    assert again.json()["detail"] == "taken"
    assert again.headers["content-type"] == problems.MEDIA_TYPE
    assert counter.runs == 1


@pytest.mark.parametrize("failure", [OverLimitError("slower"), RuntimeError("a fault")])
def test_what_another_try_may_change_is_not_kept(
    post: Callable[..., Any], counter: Counter, failure: Exception
) -> None:
    counter.fails = [failure]
    assert post("k", {}).status_code in (429, 500)
    answer = post("k", {})
    assert (answer.status_code, answer.json()["run"]) == (201, 2)


def test_a_job_is_one_even_if_the_server_dies_before_it_answers(
    post: Callable[..., Any], world: World, lone_program: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"root_path": "digits", "core_num": 1, "machine_type": "cpu", "max_duration": 60}

    def die(self: idempotency.Claim, response: Response) -> None:
        self.drop()
        raise RuntimeError

    with monkeypatch.context() as dying:
        dying.setattr(idempotency.Claim, "keep", die)
        assert post("k", body, "/jobs").status_code == 500
    again = post("k", body, "/jobs")
    assert (again.status_code, again.headers[idempotency.REPLAYED]) == (201, "true")
    assert world.sql("SELECT job_id::text FROM job") == [(again.json()["job_id"],)]


def test_keys_are_kept_for_a_day(post: Callable[..., Any], counter: Counter, world: World) -> None:
    post("k", {})
    world.sql("UPDATE idempotency SET created_ms = created_ms - 86400000 - 1000")
    assert post("k", {"other": "body"}).json()["run"] == 2
