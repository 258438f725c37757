from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from ledger_world import MINUTE, T0, World

from market.credits.settlement.steps import settle
from market.people.member import Member
from market.web.api import caller
from market.web.api.app import create_app

pytestmark = pytest.mark.database

Ask = Callable[..., Any]


@pytest.fixture
def ask(world: World, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask as user1 (a member), user2 (another) or user3 (an administrator)."""
    people = {f"user{n}": Member(world.member(), f"user{n}", "", is_admin=n == 3) for n in (1, 2, 3)}

    def known(request: Request) -> Member:
        return people[request.headers["X-Who"]]

    monkeypatch.setattr(caller, "current", known)
    app = create_app()
    app.dependency_overrides = {
        dependency: known for dependency in [caller.Caller.__metadata__[0].dependency]
    }
    client = TestClient(app, raise_server_exceptions=False)

    def send(who: str, method: str, path: str, **options: Any) -> Any:
        headers = {"X-Who": who, **options.pop("headers", {})}
        return client.request(method, f"/api/v1{path}", headers=headers, **options)

    return send


ONE, TWO, NOBODY = (f"{number:032x}" for number in (1, 2, 99))


def test_ones_own_credits(ask: Ask) -> None:
    answer = ask("user1", "GET", f"/users/{ONE}/credits").json()
    assert answer["balance"] == answer["available"] == answer["granted"] == "15.000000"
    assert (answer["held"], answer["rate"]) == ("0.000000", "1.000000")


@pytest.mark.parametrize("path", ["credits", "statement"])
def test_anothers_account_is_not_there_but_for_administrators(ask: Ask, path: str) -> None:
    assert ask("user1", "GET", f"/users/{TWO}/{path}").status_code == 404
    assert ask("user3", "GET", f"/users/{TWO}/{path}").status_code == 200
    assert ask("user3", "GET", f"/users/{NOBODY}/{path}").status_code == 404
    assert ask("user3", "GET", f"/users/me'--/{path}").status_code == 404


def test_the_statement_in_its_three_forms(ask: Ask) -> None:
    answer = ask("user1", "GET", f"/users/{ONE}/statement").json()
    assert answer["total"] == 1
    fields = {"at", "kind", "amount", "balance", "job_id", "machine_id", "note", "payer", "submitter"}
    assert set(answer["lines"][0]) == fields
    csv = ask("user1", "GET", f"/users/{ONE}/statement?format=csv")
    assert csv.headers["content-type"] == "text/csv; charset=utf-8"
    assert csv.text.splitlines()[1].endswith(",welcome,,")
    beancount = ask("user1", "GET", f"/users/{ONE}/statement?format=beancount")
    assert "2023-11-15 balance Assets:Market  15000000 UCR" in beancount.text
    assert ask("user1", "GET", f"/users/{ONE}/statement?format=xml").status_code == 422


def test_administrators_grant_once_for_each_key(ask: Ask) -> None:
    body = {"amount": "2.5", "reason": "for the review"}
    given = ask("user3", "POST", f"/users/{ONE}/grants", json=body, headers={"Idempotency-Key": "k"})
    assert given.status_code == 201
    assert given.json() == {"user_id": ONE, "amount": "2.500000", "reason": "for the review"} | {
        "balance": "17.500000"
    }
    again = ask("user3", "POST", f"/users/{ONE}/grants", json=body, headers={"Idempotency-Key": "k"})
    assert again.json() == given.json()
    assert ask("user1", "GET", f"/users/{ONE}/credits").json()["balance"] == "17.500000"


def test_who_may_not_grant_and_what_is_no_grant(ask: Ask) -> None:
    body = {"amount": "1", "reason": "me"}
    assert ask("user1", "POST", f"/users/{ONE}/grants", json=body).status_code == 403
    assert ask("user3", "POST", f"/users/{NOBODY}/grants", json=body).status_code == 404
    for wrong in (
        {"amount": "0", "reason": "x"},
        {"amount": 1, "reason": "x"},
        {"amount": "1"},
        {**body, "to": 1},
    ):
        assert ask("user3", "POST", f"/users/{ONE}/grants", json=wrong).status_code == 422


def test_administrators_give_back_what_a_job_paid_once_for_each_key(world: World, ask: Ask) -> None:
    job = world.job(ONE)
    world.container(job, world.machine(TWO), T0, T0 + MINUTE)
    path, body, key = f"/jobs/{job}/refunds", {"amount": "0.01", "reason": "sorry"}, {"Idempotency-Key": "k"}
    waits = ask("user3", "POST", path, json=body)
    assert (waits.status_code, "receipt is final" in waits.json()["detail"]) == (409, True)
    world.end_job(job, T0 + MINUTE)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)
    given = ask("user3", "POST", path, json=body, headers=key)
    assert (given.status_code, given.json()["refunded"]) == (201, "0.010000")
    assert ask("user3", "POST", path, json=body, headers=key).json() == given.json()
    assert ask("user1", "GET", f"/jobs/{job}/receipt").json()["refunds"][0]["reason"] == "sorry"
    assert ask("user1", "GET", f"/users/{ONE}/statement").json()["lines"][-1]["kind"] == "refund"
    for who in ("user1", "user2"):
        assert ask(who, "POST", path, json=body).status_code == 403
    assert ask("user3", "POST", f"/jobs/{NOBODY}/refunds", json=body).status_code == 404
    for wrong in ({"amount": "5", "reason": "x"}, {"amount": "-1", "reason": "x"}, {"amount": "1"}):
        refused = ask("user3", "POST", path, json=wrong)
        assert (refused.status_code, len(refused.json()["errors"])) == (422, 1)


def test_a_list_that_comes_whole_comes_in_parts_when_asked(world: World, ask: Ask) -> None:
    for number in range(4):
        ask("user3", "POST", f"/users/{ONE}/grants", json={"amount": "1", "reason": f"grant {number}"})
    path = f"/users/{ONE}/statement"
    whole = ask("user1", "GET", path).json()
    assert (len(whole["lines"]), whole["total"]) == (5, 5)
    part = ask("user1", "GET", f"{path}?limit=2&offset=3").json()
    assert (part["lines"], part["total"]) == (whole["lines"][3:], 5)
    assert ask("user1", "GET", f"{path}?offset=9").json() == {"lines": [], "total": 5}
    for wrong in ("limit=0", "limit=201", "offset=-1", "limit=x"):
        assert ask("user1", "GET", f"{path}?{wrong}").status_code == 422


def test_the_price_and_the_settlements(ask: Ask) -> None:
    settle(T0 + 10 * MINUTE)
    price = ask("user1", "GET", "/price?limit=1").json()
    assert price["rate"] == price["history"][0]["rate"] == "1.000000"
    assert (price["total"], price["at"]) == (2, T0 + 10 * MINUTE)
    assert price["types"]["cpu"]["core_hour"] == "1.000000"

    answer = ask("user1", "GET", "/settlements?order_by=until").json()
    assert [settlement["interval_id"] for settlement in answer["settlements"]] == [1, 2]
    settlement = ask("user1", "GET", "/settlements/2").json()
    assert settlement["seal"] == answer["settlements"][1]["seal"]
    assert settlement["steps"][-1] == "seal"
    for unknown in ("3", "x", "9" * 30, "-1"):
        assert ask("user1", "GET", f"/settlements/{unknown}").status_code == 404
    assert ask("user1", "GET", "/settlements?order_by=seal").status_code == 422


def test_the_trial_balance_is_for_administrators(ask: Ask) -> None:
    assert ask("user1", "GET", "/ledger/trial-balance").status_code == 403
    assert ask("user3", "GET", "/ledger/trial-balance").json()["sum"] == "0.000000"
