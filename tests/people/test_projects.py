"""Projects over the wire: each route, asked by each kind of caller, and what members may do and see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from ledger_world import World

from market.kit.clock import now_ms
from market.people.member import Member
from market.web.api import caller
from market.web.api.app import create_app
from market.web.api.routes import projects as routes

pytestmark = pytest.mark.database

Ask = Callable[..., Any]
KINDS = ("owner", "manager", "above", "member", "viewer", "outsider", "admin")
DAY = 86_400_000


@pytest.fixture
def people(world: World) -> dict[str, Member]:
    made = {}
    for kind in (*KINDS, "somebody"):
        user_id = world.member()
        name = world.one("SELECT username FROM member WHERE user_id = %s", user_id)
        made[kind] = Member(user_id, name, "", is_admin=kind == "admin")
    return made


@pytest.fixture
def ask(people: dict[str, Member], monkeypatch: pytest.MonkeyPatch) -> Ask:
    def known(request: Request) -> Member:
        return people[request.headers["X-Who"]]

    monkeypatch.setattr(caller, "current", known)
    monkeypatch.setattr(caller, "known", known)  # whom an address that is no route asks
    app = create_app()
    app.dependency_overrides = {caller.Caller.__metadata__[0].dependency: known}  # type: ignore[attr-defined]
    client = TestClient(app, raise_server_exceptions=False)

    def send(who: str, method: str, path: str, **options: Any) -> Any:
        headers = {"X-Who": who, **options.pop("headers", {})}
        return client.request(method, f"/api/v1{path}", headers=headers, **options)

    return send


@pytest.fixture
def lab(ask: Ask) -> str:
    """A project of `above`."""
    body = {"name": "lab", "budget": "100", "end": now_ms() + DAY}
    return str(ask("above", "POST", "/projects", json=body).json()["project_id"])


@pytest.fixture
def digits(ask: Ask, lab: str, people: dict[str, Member]) -> str:
    """A part of it, with each kind of member."""
    body = {"name": "digits", "budget": "50", "end": now_ms() + DAY // 2, "parent_id": lab, "title": "Digits"}
    project = str(ask("above", "POST", "/projects", json=body).json()["project_id"])
    for kind in ("owner", "manager", "member", "viewer"):
        answer = ask(
            "above", "PUT", f"/projects/{project}/members/{people[kind].username}", json={"role": kind}
        )
        assert answer.status_code == (200 if kind == "owner" else 403 if kind == "manager" else 200), kind
    ask("owner", "PUT", f"/projects/{project}/members/{people['manager'].username}", json={"role": "manager"})
    ask("owner", "DELETE", f"/projects/{project}/members/{people['above'].username}")
    assert (
        ask("owner", "POST", "/transfers", json=pays(people["owner"].user_id, project, "5")).status_code
        == 201
    )
    return project


def pays(payer: str, payee: str, amount: str) -> dict[str, str]:
    return {"payer_id": payer, "payee_id": payee, "amount": amount, "reason": "for work"}


# Route, body, and the status that each kind of caller gets; @name is somebody's name, #name his id.
READ = {"outsider": 404, "default": 200}
MANAGE = {"outsider": 404, "member": 403, "viewer": 403, "admin": 403}
MATRIX: list[tuple[str, str, Any, dict[str, int]]] = [
    ("GET", "/projects", None, {"default": 200}),
    ("GET", "/projects/{project_id}", None, READ),
    ("GET", "/projects/{project_id}/members", None, READ),
    ("GET", "/projects/{project_id}/statement", None, READ),
    ("GET", "/projects/{project_id}/report", None, READ),
    ("POST", "/projects", {"name": "part", "budget": "1", "parent_id": "project"}, MANAGE | {"default": 201}),
    (
        "PUT",
        "/projects/{project_id}",
        {"budget": "49"},
        MANAGE | {"owner": 403, "manager": 403, "default": 200},
    ),
    ("PUT", "/projects/{project_id}/members/@somebody", {"role": "member"}, MANAGE | {"default": 200}),
    (
        "PUT",
        "/projects/{project_id}/members/@somebody",
        {"role": "manager"},
        MANAGE | {"manager": 403, "above": 403, "default": 200},
    ),
    (
        "PUT",
        "/projects/{project_id}/members/@somebody",
        {"role": "owner"},
        MANAGE | {"manager": 403, "above": 403, "default": 200},
    ),
    ("DELETE", "/projects/{project_id}/members/@viewer", None, MANAGE | {"viewer": 204, "default": 204}),
    (
        "DELETE",
        "/projects/{project_id}/members/@manager",
        None,
        MANAGE | {"above": 403, "default": 204},
    ),
    (
        "DELETE",
        "/projects/{project_id}/members/@owner",
        None,
        MANAGE | {"owner": 422, "manager": 403, "above": 403},
    ),
    (
        "POST",
        "/transfers",
        ("#self", "project"),
        {"outsider": 404, "viewer": 403, "admin": 403, "default": 201},
    ),
    ("POST", "/transfers", ("project", "parent"), MANAGE | {"default": 201}),
    ("POST", "/transfers", ("project", "#member"), MANAGE | {"manager": 403, "above": 403, "default": 201}),
    ("POST", "/transfers", ("project", "#outsider"), MANAGE | {"default": 422}),
    ("POST", "/transfers", ("#owner", "project"), {"owner": 201, "default": 404}),
]


def test_the_matrix_has_every_route_of_projects() -> None:
    asked = {(method, path.replace("@", "{").split("{username}")[0]) for method, path, _, _ in MATRIX}
    for route in routes.router.routes:
        path = route.path.replace("{username}", "")  # type: ignore[attr-defined]
        for method in route.methods - {"HEAD"}:  # type: ignore[attr-defined]
            assert any(one == method and where.startswith(path) for one, where in asked), (method, path)


@pytest.mark.parametrize("who", KINDS)
def test_each_route_for_each_kind_of_caller(
    world: World, ask: Ask, people: dict[str, Member], lab: str, digits: str, who: str
) -> None:
    for number, (method, path, body, expected) in enumerate(MATRIX):
        place = path.replace("{project_id}", digits)
        for kind, person in people.items():
            place = place.replace(f"@{kind}", person.username)
        if isinstance(body, tuple):
            ids = {"project": digits, "parent": lab, "#self": people[who].user_id}
            ids |= {f"#{kind}": person.user_id for kind, person in people.items()}
            sent: Any = pays(ids[body[0]], ids[body[1]], "0.5")
        elif body and "parent_id" in body:
            sent = body | {"parent_id": digits, "name": f"part{number}", "end": now_ms() + DAY // 4}
        else:
            sent = body
        before = world.sql("SELECT * FROM project_member ORDER BY 1, 2"), world.sql("SELECT * FROM project")
        answer = ask(who, method, place, json=sent)
        status = expected.get(who, expected.get("default"))
        assert answer.status_code == status, (who, method, path, body, answer.text)
        if answer.status_code >= 400:
            now = world.sql("SELECT * FROM project_member ORDER BY 1, 2"), world.sql("SELECT * FROM project")
            assert now == before, (method, path)
        if (method, path.split("@")[0]) in (
            ("PUT", "/projects/{project_id}/members/"),
            ("DELETE", "/projects/{project_id}/members/"),
        ):  # as it was, for the next one
            restore(world, digits, people)
    assert world.violations() == []


def restore(world: World, project: str, people: dict[str, Member]) -> None:
    world.sql("DELETE FROM project_member WHERE project_id = %s", project)
    for kind in ("owner", "manager", "member", "viewer"):
        world.sql(
            "INSERT INTO project_member VALUES (%s, %s, %s, NULL, 0)", project, people[kind].user_id, kind
        )


def test_a_list_has_ones_own_and_what_lies_below(ask: Ask, lab: str, digits: str) -> None:
    def names(who: str) -> set[str]:
        return {row["name"] for row in ask(who, "GET", "/projects").json()["projects"]}

    assert names("above") == {"lab", "digits"}
    assert names("member") == names("viewer") == {"digits"}
    assert names("outsider") == names("admin") == set()
    page = ask("above", "GET", "/projects?limit=1&order_by=name").json()
    assert (page["total"], [row["name"] for row in page["projects"]]) == (2, ["digits"])


def test_what_a_project_says_of_itself(ask: Ask, lab: str, digits: str, people: dict[str, Member]) -> None:
    shown = ask("member", "GET", f"/projects/{digits}").json()
    assert (shown["role"], shown["parent_id"], shown["is_open"]) == ("member", lab, True)
    assert (shown["budget"], shown["balance"], shown["left"]) == ("50.000000", "5.000000", "50.000000")
    assert ask("above", "GET", f"/projects/{digits}").json()["role"] == "manager"
    assert ask("admin", "GET", f"/projects/{digits}").json()["role"] is None
    members = ask("member", "GET", f"/projects/{digits}/members?order_by=username").json()
    assert [row["role"] for row in members["members"]] == ["owner", "manager", "member", "viewer"]
    [line] = ask("viewer", "GET", f"/projects/{digits}/statement").json()["lines"]
    assert (line["kind"], line["amount"], line["note"]) == ("transfer", "5.000000", "for work")
    beancount = ask("viewer", "GET", f"/projects/{digits}/statement?format=beancount").text
    assert "Equity:Transfers  -5000000 UCR" in beancount
    mine = ask("owner", "GET", f"/users/{people['owner'].user_id}/credits").json()
    assert (mine["transferred"], mine["balance"]) == ("-5.000000", "10.000000")


def test_what_is_wrong_in_a_project_is_told_by_field(ask: Ask, lab: str, digits: str) -> None:
    end = now_ms() + DAY // 4
    good = {"name": "more", "budget": "1", "end": end}
    for change, field in (
        ({"name": "More"}, "name"),
        ({"name": "a"}, "name"),
        ({"budget": "-1"}, "budget"),
        ({"budget": "1e3"}, "budget"),
        ({"budget": "101", "parent_id": lab}, "budget"),
        ({"end": end + DAY, "parent_id": lab}, "end"),
        ({"end": 10**20}, "end"),
        ({"start": end}, "end"),
        ({"title": "a\nb"}, "title"),
        ({"parent_id": "x"}, "parent_id"),
        ({"other": 1}, "other"),
    ):
        answer = ask("above", "POST", "/projects", json=good | change)
        assert (answer.status_code, set(answer.json()["errors"])) == (422, {field}), (change, answer.text)
    assert ask("member", "POST", "/projects", json=good | {"name": "lab"}).status_code == 409
    assert ask("above", "PUT", f"/projects/{lab}", json={"budget": "40"}).json()["errors"] == {
        "budget": ["a sub-project's budget may not be above its parent's"]
    }
    assert ask("owner", "GET", f"/projects/{digits}/report?month=202613").status_code == 422
    for name in ("nobody9", "%00", "%0A", "a" * 3000, "%E2%80%AE"):
        path = f"/projects/{digits}/members/{name}"
        assert ask("owner", "PUT", path, json={"role": "viewer"}).status_code == 404
        assert ask("owner", "DELETE", path).status_code == 404


def test_who_manages_the_payer_sees_its_jobs_and_stops_them(
    world: World, ask: Ask, digits: str, lab: str, people: dict[str, Member]
) -> None:
    member, manager = people["member"], people["manager"].username
    job = world.job(member.user_id, 1_000_000, now_ms(), project=digits)
    own = world.job(member.user_id, 1_000_000)
    world.job(people["above"].user_id, 1_000_000)
    world.sql("UPDATE job SET hidden = true WHERE job_id = %s", job)
    for who in ("owner", "manager", "above", "admin"):
        answer = ask(who, "GET", f"/jobs?project={digits}")
        assert [row["job_id"] for row in answer.json()["jobs"]] == [job], (who, answer.text)
        assert answer.json()["jobs"][0]["owner"] == member.username
        assert ask(who, "GET", f"/jobs/{job}").json()["job_id"] == job
        assert ask(who, "GET", f"/jobs/{job}/receipt").json()["submitter"] == member.username
        assert ask(who, "GET", f"/jobs/{own}").status_code == (200 if who == "admin" else 404)
        assert ask(who, "GET", f"/jobs?project={lab}").status_code == (
            404 if who in ("owner", "manager") else 200
        )
    for who, status in (("member", 403), ("viewer", 403), ("outsider", 404)):
        assert ask(who, "GET", f"/jobs?project={digits}").status_code == status, who
        if who != "member":
            assert ask(who, "GET", f"/jobs/{job}").status_code == 404
            assert ask(who, "GET", f"/jobs/{job}/receipt").status_code == 404
            cancelled = ask(who, "POST", f"/jobs/{job}/cancel", json={"reason": "mine"})
            assert cancelled.status_code == 404, who
    for part in ("logs", "results", "points", "progress"):
        for who in ("owner", "manager", "above", "viewer"):
            assert ask(who, "GET", f"/jobs/{job}/{part}").status_code == 404, (part, who)
    for method, path in (("DELETE", f"/jobs/{job}"), ("POST", f"/jobs/{job}/retry")):
        assert ask("manager", method, path, json={}).status_code == 404, path
    for odd in ("digits", "%00", ""):
        assert ask("manager", "GET", f"/jobs?project={odd}").json()["errors"].keys() == {"project"}
    assert ask("admin", "GET", f"/jobs?project={digits}&scope=all").json()["errors"].keys() == {"project"}
    assert ask("manager", "POST", f"/jobs/{own}/cancel", json={"reason": "no"}).status_code == 404
    silent = ask("manager", "POST", f"/jobs/{job}/cancel", json={})
    assert silent.json()["errors"].keys() == {"reason"}
    answer = ask("manager", "POST", f"/jobs/{job}/cancel", json={"reason": "too wide a search"})
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")
    told = f"cancelled by {manager}, who manages the project digits: too wide a search"
    assert world.one("SELECT stop_reason FROM job WHERE job_id = %s", job) == told
    assert world.one("SELECT data->>'reason' FROM event WHERE kind = 'job_stopped'") == told
    noted = world.sql("SELECT kind, actor FROM audit WHERE subject = %s", job)
    assert [tuple(row) for row in noted] == [("project", manager)]


def test_who_manages_no_longer_sees_no_jobs_any_more(
    world: World, ask: Ask, digits: str, people: dict[str, Member]
) -> None:
    job = world.job(people["member"].user_id, 1_000_000, now_ms(), project=digits)
    assert ask("manager", "GET", f"/jobs/{job}").status_code == 200
    ask("owner", "DELETE", f"/projects/{digits}/members/{people['manager'].username}")
    assert ask("manager", "GET", f"/jobs/{job}").status_code == 404
    assert ask("manager", "POST", f"/jobs/{job}/cancel", json={"reason": "no"}).status_code == 404
    assert ask("member", "GET", f"/jobs/{job}").status_code == 200, "it is his"


def test_a_new_owner_takes_the_place_of_the_old_one(ask: Ask, digits: str, people: dict[str, Member]) -> None:
    member = people["member"].username
    assert (
        ask("owner", "PUT", f"/projects/{digits}/members/{member}", json={"role": "owner"}).status_code == 200
    )
    rows = ask("owner", "GET", f"/projects/{digits}/members").json()["members"]
    assert {row["username"]: row["role"] for row in rows if row["role"] in ("owner", "manager")} == {
        member: "owner",
        people["owner"].username: "manager",
        people["manager"].username: "manager",
    }


def test_a_month_by_member_and_project(
    world: World, ask: Ask, digits: str, lab: str, people: dict[str, Member]
) -> None:
    at = now_ms()
    path = f"/projects/{digits}/members/{people['member'].username}"
    assert (
        ask("manager", "PUT", path, json={"role": "member", "month_cap": "3"}).json()["month_cap"]
        == "3.000000"
    )
    world.job(people["member"].user_id, 2_000_000, at, project=digits)
    world.job(people["owner"].user_id, 1_000_000, at, project=digits)
    world.job(people["owner"].user_id, 9_000_000, at)
    report = ask("above", "GET", f"/projects/{lab}/report").json()
    assert report["committed"] == report["held"] == "3.000000"
    lines = {line["username"]: line for line in report["lines"]}
    assert lines[people["member"].username]["cap"] == "3.000000"
    assert lines[people["owner"].username]["held"] == "1.000000"
    assert ask("viewer", "GET", f"/projects/{digits}").json()["committed"] == "3.000000"
    csv = ask("viewer", "GET", f"/projects/{digits}/report?format=csv").text.splitlines()
    assert csv[0] == "month,project,username,jobs,open_jobs,spent,held,committed,cap"
    assert len(csv) == 3
    lower = ask("manager", "PUT", path, json={"role": "member", "month_cap": "1"})
    assert lower.json()["errors"] == {"month_cap": ["may not be less than the 2.000000 that are committed"]}
    assert ask("above", "PUT", f"/projects/{digits}", json={"budget": "2"}).json()["errors"] == {
        "budget": ["may not be less than the 3.000000 that are committed"]
    }
    assert ask("owner", "GET", f"/projects/{digits}/report?month=200001").json()["lines"] == []


def test_transfers_have_a_limit_a_day_and_need_the_credits(
    ask: Ask, digits: str, people: dict[str, Member]
) -> None:
    member = people["member"].user_id
    too_much = ask("member", "POST", "/transfers", json=pays(member, digits, "16"))
    assert (too_much.status_code, too_much.json()["available"]) == (402, "15.000000")
    over = ask("member", "POST", "/transfers", json=pays(member, digits, "1001"))
    assert over.status_code == 429
    assert ask("member", "POST", "/transfers", json=pays(member, "f" * 32, "1")).status_code == 404
    assert ask("member", "POST", "/transfers", json=pays("f" * 32, member, "1")).status_code == 404
    assert ask("member", "POST", "/transfers", json=pays(member, digits, "0")).status_code == 422


def test_a_transfer_with_one_key_moves_once(ask: Ask, digits: str, people: dict[str, Member]) -> None:
    member = people["member"].user_id
    answers = [
        ask(
            "member", "POST", "/transfers", json=pays(member, digits, "2"), headers={"Idempotency-Key": "one"}
        )
        for _ in range(2)
    ]
    assert [answer.json()["balance"] for answer in answers] == ["13.000000", "13.000000"]
    assert ask("member", "GET", f"/users/{member}/credits").json()["balance"] == "13.000000"
