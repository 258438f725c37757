"""The audit's route, and what the doors of the API write into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from ledger_world import World

from market.jobs.life import kill
from market.kit import audit, clock, database
from market.kit.errors import NotLoggedInError
from market.people.member import Member
from market.web.api import caller
from market.web.api.app import create_app

pytestmark = pytest.mark.database

Ask = Callable[..., Any]


@pytest.fixture
def ask(world: World, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask as user1 (a member) or user2 (an administrator); nobody else is known."""
    people = {f"user{n}": Member(world.member(), f"user{n}", "", is_admin=n == 2) for n in (1, 2)}

    def known(token: str) -> Member:
        if token not in people:
            raise NotLoggedInError("This token is not valid.")
        return people[token]

    monkeypatch.setattr(caller.logins, "of_token", known)
    monkeypatch.setattr(caller.members, "of_login", lambda member: member)
    monkeypatch.setattr(kill, "applications", lambda tag: [])  # no YARN is here
    client = TestClient(create_app(), raise_server_exceptions=False)

    def send(who: str, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        return client.request(
            method, f"/api/v1{path}", headers=headers | options.pop("headers", {}), **options
        )

    return send


def added(kind: str, subject: str, once: bool = False) -> bool:
    with database.transaction() as cursor:
        return audit.write(cursor, kind, "somebody", subject, "why", once)


def lines(ask: Ask, query: str = "") -> list[Any]:
    answer = ask("user2", "GET", f"/audit{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["lines"])


def test_administrators_read_it_newest_first_by_kind_and_time(ask: Ask, world: World) -> None:
    for number in range(3):
        added(audit.ROTATION, f"secret{number}")
    added(audit.ADMINISTRATION, "job")
    everything = ask("user2", "GET", "/audit").json()
    assert everything["total"] == 4
    assert [line["subject"] for line in everything["lines"]] == ["job", "secret2", "secret1", "secret0"]
    assert set(everything["lines"][0]) == {"at", "kind", "actor", "subject", "detail"}
    page = ask("user2", "GET", "/audit?kind=rotation&limit=1&offset=1&order_by=at").json()
    assert (page["total"], [line["subject"] for line in page["lines"]]) == (3, ["secret1"])
    later = clock.now_ms() + 60_000
    assert lines(ask, f"?since={later}") == []
    assert len(lines(ask, f"?until={later}")) == 4
    assert ask("user2", "GET", "/audit?since=-1").status_code == 422
    assert ask("user2", "GET", "/audit?order_by=detail").status_code == 422


def test_nobody_else_reads_it_and_the_try_is_in_it(ask: Ask) -> None:
    assert ask("user1", "GET", "/audit").status_code == 403
    (line,) = lines(ask)
    assert (line["kind"], line["actor"], line["subject"]) == ("refusal", "user1", "GET /api/v1/audit")


def test_a_token_that_does_not_hold_is_in_it_but_no_request_without_any(ask: Ask) -> None:
    assert ask("", "GET", "/jobs").status_code == 401
    assert lines(ask) == []
    assert ask("forged", "GET", "/jobs").status_code == 401
    (line,) = lines(ask)
    assert (line["kind"], line["actor"]) == ("refusal", "testclient")
    assert "forged" not in str(line)


def test_a_refused_request_with_a_key_is_in_it_too(ask: Ask, world: World) -> None:
    path = f"/users/{world.one('SELECT user_id FROM member LIMIT 1')}/grants"
    body = {"amount": "1", "reason": "mine"}
    answer = ask("user1", "POST", path, json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 403
    assert [line["kind"] for line in lines(ask)] == ["refusal"]


def test_what_administrators_give_is_in_it(ask: Ask, world: World) -> None:
    user_id = world.one("SELECT user_id FROM member WHERE username = 'user1'")
    body = {"amount": "1.5", "reason": "for the review"}
    assert ask("user2", "POST", f"/users/{user_id}/grants", json=body).status_code == 201
    (line,) = lines(ask)
    assert (line["kind"], line["subject"]) == ("administration", user_id)
    assert line["detail"] == "granted 1.5 credits: for the review"


def test_an_administrator_who_stops_another_s_job_is_in_it(ask: Ask, world: World) -> None:
    job_id = world.job(world.one("SELECT user_id FROM member WHERE username = 'user1'"))
    assert ask("user1", "POST", f"/jobs/{job_id}/cancel").status_code == 202
    assert lines(ask, "?kind=administration") == []
    other = world.job(world.one("SELECT user_id FROM member WHERE username = 'user1'"))
    refused = ask("user2", "POST", f"/jobs/{other}/cancel")
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["reason"])
    assert lines(ask, "?kind=administration") == []
    answer = ask("user2", "POST", f"/jobs/{other}/cancel", json={"reason": "mines coins"})
    assert answer.status_code == 202
    (line,) = lines(ask, "?kind=administration")
    assert (line["actor"], line["subject"]) == ("user2", other)
    assert "mines coins" in line["detail"]
    assert "mines coins" in world.one("SELECT stop_reason FROM job WHERE job_id = %s", other)


def test_it_is_searched_by_who_did_it_and_by_what_it_was_done_to(ask: Ask) -> None:
    for subject in ("one", "two"):
        added(audit.ADMINISTRATION, subject)
    assert [line["subject"] for line in lines(ask, "?actor=somebody&subject=two")] == ["two"]
    assert lines(ask, "?actor=some") == [], "names are whole"
    assert ask("user2", "GET", f"/audit?actor={'x' * 255}").status_code == 422
    assert ask("user2", "GET", "/audit?actor=%00").status_code == 422


def test_an_administrator_who_removes_another_s_machine_is_in_it(ask: Ask, world: World) -> None:
    machine_id = world.machine(world.one("SELECT user_id FROM member WHERE username = 'user1'"))
    assert ask("user2", "DELETE", f"/machines/{machine_id}").status_code == 202
    (line,) = lines(ask, "?kind=administration")
    assert (line["actor"], line["subject"]) == ("user2", machine_id)


def test_a_flood_of_refusals_is_bounded_and_hides_no_other_kind(ask: Ask) -> None:
    for _ in range(40):
        ask("user1", "GET", "/audit")
    assert added(audit.ROTATION, "secret")
    refused = ask("user2", "GET", "/audit?kind=refusal").json()
    assert refused["total"] == 30
    assert refused["lines"][0]["subject"] == "more"
    assert len(lines(ask, "?kind=rotation")) == 1


def test_once_is_once(ask: Ask) -> None:
    assert added(audit.UNKNOWN_APPLICATION, "application_1_0001", once=True)
    assert not added(audit.UNKNOWN_APPLICATION, "application_1_0001", once=True)
    assert added(audit.ROTATION, "application_1_0001", once=True), "of another kind"


def test_the_audit_outlives_what_fails(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal stands, whether or not it can be written down."""

    def broken(*_: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(audit, "write", broken)
    assert ask("user1", "GET", "/audit").status_code == 403
