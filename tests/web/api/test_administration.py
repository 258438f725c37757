"""The routes of administrators, asked by nobody, a member and an administrator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from ledger_world import World

from market.airflow.logins import AirflowLogins
from market.jobs.life import kill
from market.kit.errors import NotLoggedInError
from market.people.member import Member
from market.web.api import caller
from market.web.api.app import create_app

pytestmark = pytest.mark.database

Ask = Callable[..., Any]
MEMBER = f"{1:032x}"


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
    monkeypatch.setattr(kill, "applications", lambda tag: [])
    monkeypatch.setattr(AirflowLogins, "end_sessions", lambda self, login_id: None)
    client = TestClient(create_app(), raise_server_exceptions=False)

    def send(who: str, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        return client.request(method, f"/api/v1{path}", headers=headers, **options)

    return send


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/users", None),
        ("GET", f"/users/{MEMBER}", None),
        ("POST", f"/users/{MEMBER}/suspend", {"reason": "why"}),
        ("POST", f"/users/{MEMBER}/reopen", {"reason": "why"}),
        ("GET", "/treasury", None),
        ("GET", "/jobs?scope=all", None),
        ("GET", "/machines?scope=all", None),
    ],
)
def test_who_is_let_in(ask: Ask, method: str, path: str, body: Any) -> None:
    assert ask("", method, path, json=body).status_code == 401
    refused = ask("user1", method, path, json=body)
    assert (refused.status_code, refused.json()["title"]) == (403, "Role missing")
    assert refused.json()["detail"] == "This needs the role Admin."
    assert ask("user2", method, path, json=body).status_code == (409 if "reopen" in path else 200)


def test_everybody_s_jobs_and_machines_have_owners(ask: Ask, world: World) -> None:
    world.job(MEMBER)
    machine, pools = world.machine(MEMBER), world.machine(None)
    jobs = ask("user2", "GET", "/jobs?scope=all").json()
    assert (jobs["total"], jobs["jobs"][0]["owner"]) == (1, "user1")
    assert ask("user2", "GET", "/jobs").json()["total"] == 0, "one's own, as before"
    shown = ask("user2", "GET", "/machines?scope=all").json()
    assert shown["total"] == 2
    owners = {one["machine_id"]: (one["owner"], one["ip_address"][:3]) for one in shown["machines"]}
    assert owners == {machine: ("user1", "10."), pools: (None, "10.")}


def test_an_account_is_suspended_and_reopened_with_reasons(ask: Ask) -> None:
    path = f"/users/{MEMBER}"
    for body in ({}, {"reason": ""}, {"reason": "a\nb"}, {"reason": "why", "jobs": "burn"}):
        assert ask("user2", "POST", f"{path}/suspend", json=body).status_code == 422, body
    shown = ask("user2", "POST", f"{path}/suspend", json={"reason": "spam", "jobs": "cancel"}).json()
    assert (shown["state"], shown["suspended_by"], shown["suspended_because"]) == (
        "suspended",
        "user2",
        "spam",
    )
    assert [user["username"] for user in ask("user2", "GET", "/users?state=suspended").json()["users"]] == [
        "user1"
    ]
    assert ask("user2", "POST", f"{path}/reopen", json={}).status_code == 422
    assert ask("user2", "POST", f"{path}/reopen", json={"reason": "paid"}).json()["state"] == "active"
    own = ask("user2", "POST", f"/users/{2:032x}/suspend", json={"reason": "me"})
    assert own.status_code == 409
    assert "another administrator" in own.json()["detail"]
    assert ask("user2", "POST", f"/users/{'f' * 32}/suspend", json={"reason": "x"}).status_code == 404


def test_people_are_listed_behind_a_cursor(ask: Ask) -> None:
    first = ask("user2", "GET", "/users?limit=1").json()
    assert [user["username"] for user in first["users"]] == ["user2"]
    rest = ask("user2", "GET", f"/users?limit=1&after={first['cursor']}").json()
    assert ([user["username"] for user in rest["users"]], rest["cursor"]) == (["user1"], None)
    assert ask("user2", "GET", "/users?search=%00").status_code == 422
    assert ask("user2", "GET", f"/users?search={'x' * 255}").status_code == 422
    assert ask("user2", "GET", "/users?state=gone").status_code == 422


def test_an_owner_cancels_without_a_body_and_reads_an_administrator_s_reason(ask: Ask, world: World) -> None:
    own, other = world.job(MEMBER), world.job(MEMBER)
    assert ask("user1", "POST", f"/jobs/{own}/cancel").status_code == 202
    assert ask("user2", "POST", f"/jobs/{other}/cancel", json={"reason": "mines coins"}).status_code == 202
    assert world.one("SELECT stop_reason FROM job WHERE job_id = %s", own) == "cancelled by user1"
    told = "cancelled by the administrator user2: mines coins"
    assert world.one("SELECT stop_reason FROM job WHERE job_id = %s", other) == told
    events = world.sql("SELECT job_id, data->>'reason' AS reason FROM event WHERE kind = 'job_stopped'")
    assert [tuple(event) for event in events] == [(other, told)], "who stops his own knows of it"
