"""Events and choices over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from ledger_world import World

from market.kit import database
from market.notifications import outbox
from market.notifications.kinds import CHOOSABLE
from market.people.member import Member
from market.web.api import caller
from market.web.api.app import create_app

pytestmark = pytest.mark.database
Ask = Callable[..., Any]


@pytest.fixture
def people(world: World) -> dict[str, Member]:
    made = {name: Member(world.member(), name, f"{name}@example.org") for name in ("ada", "bob")}
    world.sql("DELETE FROM event")
    return made


@pytest.fixture
def ask(people: dict[str, Member], configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask as ada or bob."""
    configure()

    def known(request: Request) -> Member:
        return people[request.headers["X-Who"]]

    monkeypatch.setattr(caller, "current", known)
    app = create_app()
    app.dependency_overrides = {caller.Caller.__metadata__[0].dependency: known}  # type: ignore[attr-defined]
    client = TestClient(app, raise_server_exceptions=False)

    def send(who: str, method: str, path: str, **options: Any) -> Any:
        headers = {"X-Who": who, **options.pop("headers", {})}
        return client.request(method, f"/api/v1{path}", headers=headers, **options)

    return send


def happens(member: Member, amount: int) -> None:
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT event_write('grant', %s, NULL, NULL, jsonb_build_object('amount', %s::int))",
            [member.user_id, amount],
        )
    outbox.run_pass()


def test_events_go_on_from_a_cursor_and_are_one_s_own(ask: Ask, people: dict[str, Member]) -> None:
    for number in range(3):
        happens(people["ada"], number)
    page = ask("ada", "GET", "/events?limit=2").json()
    assert [event["data"]["amount"] for event in page["events"]] == [0, 1]
    assert page["cursor"] == page["events"][-1]["position"]
    page = ask("ada", "GET", f"/events?after={page['cursor']}").json()
    assert [event["data"]["amount"] for event in page["events"]] == [2]
    assert page["events"][0]["text"] == "You were given 2 credits: -"
    last = page["cursor"]
    assert ask("ada", "GET", f"/events?after={last}").json() == {"events": [], "cursor": last}
    assert ask("bob", "GET", "/events").json() == {"events": [], "cursor": 0}
    assert ask("ada", "GET", "/events?after=-1").status_code == 422


def test_choices_are_kept_and_checked(ask: Ask) -> None:
    path = "/users/me/notifications"
    before = ask("ada", "GET", path).json()
    assert (before["mail"], before["digest"], before["mail_enabled"]) == ([], [], False)
    answer = ask("ada", "PUT", path, json={"mail": ["job_failed"], "digest": ["grant", "refund"]})
    assert answer.status_code == 200
    assert ask("ada", "GET", path).json()["digest"] == ["grant", "refund"]
    wrong: list[dict[str, list[str]]] = [
        {"mail": ["no_such"], "digest": []},
        {"mail": ["alert"], "digest": []},
        {"mail": []},
        {"mail": ["grant"], "digest": ["grant"]},
        {"mail": ["grant"] * 99, "digest": []},
    ]
    for body in wrong:
        assert ask("ada", "PUT", path, json=body).status_code == 422, body
    assert ask("ada", "PUT", path, json={"mail": list(CHOOSABLE), "digest": []}).status_code == 200


def test_a_webhook_s_secret_is_shown_once_and_to_its_owner(ask: Ask, world: World) -> None:
    path = "/users/me/webhooks"
    body = {"url": "https://hooks.example.org/market", "kinds": ["job_ended"]}
    key = {"Idempotency-Key": "one"}
    made = ask("ada", "POST", path, json=body, headers=key)
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    assert world.one("SELECT count(*) FROM idempotency") == 0, "nor does it lie among answers that are kept"
    (listed,) = ask("ada", "GET", path).json()["webhooks"]
    assert "secret" not in listed
    assert listed["kinds"] == ["job_ended"]
    one = f"{path}/{made.json()['webhook_id']}"
    assert ask("bob", "GET", path).json() == {"webhooks": [], "total": 0}
    assert ask("bob", "DELETE", one).status_code == 404
    assert ask("bob", "POST", f"{one}/test").status_code == 404
    assert ask("ada", "DELETE", one).status_code == 204
    assert ask("ada", "GET", path).json()["total"] == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "https://169.254.169.254/", "https://[::1]/", "x"])
def test_no_webhook_to_what_is_inside(ask: Ask, url: str) -> None:
    answer = ask("ada", "POST", "/users/me/webhooks", json={"url": url, "kinds": []})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["url"])


def test_a_test_of_a_name_that_leads_inside_says_so(ask: Ask) -> None:
    made = ask("ada", "POST", "/users/me/webhooks", json={"url": "https://localhost:1/", "kinds": []}).json()
    answer = ask("ada", "POST", f"/users/me/webhooks/{made['webhook_id']}/test").json()
    assert not answer["delivered"]
    assert "no public address" in answer["detail"]
