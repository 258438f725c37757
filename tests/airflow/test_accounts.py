"""Registration, login, tokens and rights, against Airflow's own api-server with the market's plugin."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from airflow_accounts import Person, sql
from airflow_server import Airflow

pytestmark = pytest.mark.database

PROBLEM = "application/problem+json"
Register = Callable[..., Person]


def is_problem(answer: requests.Response, status: int) -> dict[str, Any]:
    """Check that an answer is a problem document with this status, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == PROBLEM
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail"} <= body.keys()
    assert body["status"] == status
    assert body["detail"]
    return body


# Registration


def test_a_new_user_has_credits_a_home_and_an_account_in_airflow(
    api_server: Airflow, register: Register
) -> None:
    person = register("nora")
    me = person.ask("GET", "/users/me").json()
    assert me["user_id"] == person.user_id
    assert re.fullmatch("[0-9a-f]{32}", person.user_id)
    assert me["username"] == person.username
    assert me["credit"] == "15.000000"
    assert me["is_admin"] is False
    assert me["created_time"] > 1_700_000_000_000
    home = api_server.hdfs.nodes[f"/user/{person.username}"].settings
    assert (home["owner"], home["permission"]) == (person.username, "700")
    assert int(home["storagespacequota"]) > 0
    assert person.ask("GET", f"{api_server.url}/api/v2/dags").status_code == 200


def test_a_name_or_an_address_is_given_once(api_server: Airflow, register: Register) -> None:
    person = register("twice")
    body = {"username": person.username, "password": "another word", "email": "other@example.org"}
    is_problem(requests.post(f"{api_server.market}/users", json=body, timeout=30), 409)
    body = {
        "username": "someoneelse",
        "password": "another word",
        "email": f"{person.username}@example.org",
    }
    is_problem(requests.post(f"{api_server.market}/users", json=body, timeout=30), 409)


def test_an_address_in_other_letters_is_the_same(api_server: Airflow, register: Register) -> None:
    person = register("letters")
    body = {"password": "a long password", "email": f"{person.username.upper()}@Example.ORG"}
    answer = requests.post(f"{api_server.market}/users", json=body | {"username": "letters2"}, timeout=30)
    is_problem(answer, 409)
    mixed = body | {"username": "letters3", "email": "Mixed.Letters@Example.org"}
    made = requests.post(f"{api_server.market}/users", json=mixed, timeout=30)
    assert (made.status_code, made.json()["email"]) == (201, "mixed.letters@example.org")
    login = {"username": mixed["email"], "password": body["password"]}
    logged_in = requests.post(f"{api_server.market}/login", json=login, timeout=30)
    assert (logged_in.status_code, logged_in.json()["user_id"]) == (201, made.json()["user_id"])


@pytest.mark.parametrize(
    "name",
    ["root", "nobody", "supergroup", "airflow", "postgres", "system", "anonymous", "me", "market", "admin"],
)
def test_names_of_the_system_are_reserved(api_server: Airflow, name: str) -> None:
    body = {"username": name, "password": "a long password", "email": "x@example.org"}
    found = is_problem(requests.post(f"{api_server.market}/users", json=body, timeout=30), 422)
    assert "username" in found["errors"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "Alice"),
        ("username", "a"),
        ("username", "1abc"),
        ("username", "a b"),
        ("username", "alice\n"),
        ("username", "a" * 33),
        ("username", "../alice"),
        ("username", 7),
        ("password", "short"),
        ("email", "nobody"),
        ("surprise", "field"),
    ],
)
def test_what_breaks_a_rule_is_named(api_server: Airflow, field: str, value: object) -> None:
    body = {"username": "rulebreaker", "password": "a long password", "email": "r@example.org", field: value}
    found = is_problem(requests.post(f"{api_server.market}/users", json=body, timeout=30), 422)
    assert list(found["errors"]) == [field]


def test_a_body_that_is_no_json_object(api_server: Airflow) -> None:
    for body in (b"{", b"[]", b'"x"', b"\xff\xfe", b'{"username": "\\ud800"}'):
        is_problem(requests.post(f"{api_server.market}/users", data=body, timeout=30), 422)
    is_problem(requests.post(f"{api_server.market}/users", data=b"x" * (2 << 20), timeout=30), 413)


def test_registrations_from_one_address_are_limited(api_server: Airflow) -> None:
    body = {"username": "root", "password": "a long password", "email": "r@example.org"}
    statuses = [
        requests.post(f"{api_server.market}/users", json=body, timeout=30).status_code for _ in range(12)
    ]
    assert statuses[0] == 422
    assert statuses[-1] == 429


# Login and tokens


def test_the_page_of_registration_has_the_same_limit(api_server: Airflow) -> None:
    page = f"{api_server.url}/pluginsv2/market/register/"
    form = {"username": "root", "password": "a long password", "email": "r@example.org"}
    with requests.Session() as browser:
        token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', browser.get(page, timeout=30).text)
        assert token is not None
        statuses = [
            browser.post(page, data=form | {"csrf_token": token[1]}, timeout=30).status_code
            for _ in range(12)
        ]
    assert (statuses[0], statuses[-1]) == (422, 429)
    answer = requests.post(f"{api_server.market}/users", json=form, timeout=30)
    assert "Retry-After" in answer.headers
    is_problem(answer, 429)


def test_login_gives_a_token_that_all_of_airflow_takes(register: Register, api_server: Airflow) -> None:
    person = register("login")
    body = {"username": person.username, "password": person.password}
    answer = requests.post(f"{api_server.market}/login", json=body, timeout=30)
    assert answer.status_code == 201
    found = answer.json()
    assert found["token_type"] == "bearer"
    assert found["expires_in"] == 86400
    assert found["user_id"] == person.user_id
    headers = {"Authorization": f"Bearer {found['access_token']}"}
    for address in (f"{api_server.market}/users/me", f"{api_server.url}/api/v2/dags"):
        assert requests.get(address, headers=headers, timeout=30).status_code == 200


def test_a_token_of_airflow_s_own_is_good_for_the_market(register: Register, api_server: Airflow) -> None:
    """The market reads tokens with Airflow's `_get_token_validator`, which is private to it."""
    person = register("native")
    body = {"username": person.username, "password": person.password}
    answer = requests.post(f"{api_server.url}/auth/token", json=body, timeout=30)
    assert answer.status_code == 201, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert requests.get(f"{api_server.market}/users/me", headers=headers, timeout=30).status_code == 200


def test_a_wrong_password_and_an_unknown_name_look_alike(register: Register, api_server: Airflow) -> None:
    person = register("wrong")
    login = f"{api_server.market}/login"
    first = requests.post(login, json={"username": person.username, "password": "not this"}, timeout=30)
    second = requests.post(login, json={"username": "nobody-here", "password": "not this"}, timeout=30)
    assert is_problem(first, 401) == is_problem(second, 401)


def test_guessing_is_refused_with_words_and_when_to_come_back(
    register: Register, api_server: Airflow
) -> None:
    person = register("guess")
    wrong = {"username": person.username, "password": "not this"}
    answers = [requests.post(f"{api_server.market}/login", json=wrong, timeout=30) for _ in range(12)]
    is_problem(answers[0], 401)
    is_problem(answers[-1], 429)
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    for address in ("/auth/token", "/auth/token/cli"):
        refused = requests.post(api_server.url + address, json=wrong, timeout=30)
        is_problem(refused, 429)
        assert 0 < int(refused.headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer x.y.z", "Basic YWRtaW46YWRtaW4=", "Bearer " + "a" * 5000],
)
def test_without_a_valid_token_it_is_401(api_server: Airflow, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    paths = ("/users/me", "/jobs", "/files", "/jobs/" + "0" * 32, "/jobs/x/logs")
    for path in paths:
        answer = requests.get(f"{api_server.market}{path}", headers=headers, timeout=30)
        is_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_cookie_is_enough_only_for_the_site_s_own_pages(register: Register, api_server: Airflow) -> None:
    person = register("cookie")
    cookies = {"_token": person.token}
    assert requests.get(f"{api_server.market}/users/me", cookies=cookies, timeout=30).status_code == 200
    cancel = f"{api_server.market}/jobs/{'0' * 32}/cancel"
    foreign = (
        {},
        {"Origin": "https://elsewhere.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": api_server.url},
        {"Sec-Fetch-Site": "same-site", "Origin": api_server.url},
    )
    for headers in foreign:
        is_problem(requests.post(cancel, cookies=cookies, headers=headers, timeout=30), 401)
    for headers in ({"Origin": api_server.url}, {"Sec-Fetch-Site": "same-origin"}):
        is_problem(requests.post(cancel, cookies=cookies, headers=headers, timeout=30), 404)


def test_a_deactivated_user_is_out_at_once(register: Register, api_server: Airflow) -> None:
    person = register("banned")
    assert person.ask("GET", "/users/me").status_code == 200
    with sql(api_server, "public") as cursor:
        cursor.execute("UPDATE ab_user SET active = false WHERE username = %s", [person.username])
    until = time.monotonic() + 5  # a login is looked up once a second
    while person.ask("GET", "/users/me").status_code != 401:
        assert time.monotonic() < until
        time.sleep(0.1)


# The surface


def test_health_and_the_document_need_no_login(api_server: Airflow) -> None:
    health = requests.get(f"{api_server.market}/health", timeout=30)
    assert health.status_code == 200
    parts = health.json()["parts"]
    assert parts["database"] == "healthy"
    assert health.json()["status"] == "degraded"  # no YARN here
    assert parts["yarn"] == "not answering"
    assert requests.get(f"{api_server.market}/openapi.json", timeout=30).status_code == 200


def test_what_is_not_there_is_a_problem_document(api_server: Airflow, register: Register) -> None:
    person = register("lost")
    is_problem(requests.get(f"{api_server.market}/nothing/here", timeout=30), 401)
    is_problem(person.ask("GET", "/nothing/here"), 404)
    is_problem(person.ask("GET", "/jobs/" + "0" * 32), 404)
    is_problem(person.ask("GET", "/jobs/..%2f..%2fetc"), 404)
    is_problem(person.ask("PATCH", "/users/me"), 405)


def test_answers_are_not_cached_and_not_sniffed(register: Register) -> None:
    headers = register("headers").ask("GET", "/users/me").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_an_administrator_is_known_as_one(admin: Person) -> None:
    assert admin.ask("GET", "/users/me").json()["is_admin"] is True


# Airflow's own pages and API


@pytest.fixture
def owner(register: Register) -> Person:
    return register("owner")


@pytest.fixture
def dag_id(api_server: Airflow, owner: Person) -> Iterator[str]:
    """Return the DAG of a job of `owner`, as Airflow and the market would have stored them."""
    job_id = owner.user_id[::-1]
    dag_id = f"job_{job_id}"
    with sql(api_server) as cursor:
        cursor.execute(
            "INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro,"
            " weight_micro, gib_weight_micro, status, added_ms)"
            " VALUES (%s, %s, 'digits', '{}', 'cpu', 1, 1000000, 1000000, 4000, 'submitted', 1)",
            [job_id, owner.user_id],
        )
    with sql(api_server, "public") as cursor:
        cursor.execute("INSERT INTO dag_bundle (name, active) VALUES ('tested', true) ON CONFLICT DO NOTHING")
        cursor.execute(
            "INSERT INTO dag (dag_id, bundle_name, is_paused, is_stale, fileloc, owners, timetable_type,"
            " partition_mapper_info, max_active_tasks, max_active_runs, max_consecutive_failed_dag_runs,"
            " has_task_concurrency_limits) VALUES (%s, 'tested', false, false, 'x.py', 'x', '', '[]',"
            " 16, 16, 0, false)",
            [dag_id],
        )
        cursor.execute(
            "INSERT INTO dag_run (dag_id, run_id, state, run_type, run_after, queued_at, log_template_id,"
            " clear_number) VALUES (%s, 'once', 'running', 'scheduled', now(), now(),"
            " (SELECT max(id) FROM log_template), 0)",
            [dag_id],
        )
    yield dag_id
    with sql(api_server, "public") as cursor:
        cursor.execute("DELETE FROM dag_run WHERE dag_id = %s", [dag_id])
        cursor.execute("DELETE FROM dag WHERE dag_id = %s", [dag_id])


def test_a_user_sees_his_own_dags_and_runs(owner: Person, dag_id: str) -> None:
    api = f"{owner.server.url}/api/v2"
    listed = owner.ask("GET", f"{api}/dags").json()
    assert [dag["dag_id"] for dag in listed["dags"]] == [dag_id]
    runs = owner.ask("GET", f"{api}/dags/~/dagRuns").json()
    assert [run["dag_run_id"] for run in runs["dag_runs"]] == ["once"]


def test_another_s_dags_and_runs_are_not_there(register: Register, dag_id: str) -> None:
    other = register("other")
    api = f"{other.server.url}/api/v2"
    assert other.ask("GET", f"{api}/dags").json()["dags"] == []
    assert other.ask("GET", f"{api}/dags/~/dagRuns").json().get("dag_runs", []) == []
    for path in (
        f"/dags/{dag_id}",
        f"/dags/{dag_id}/details",
        f"/dags/{dag_id}/dagRuns",
        f"/dags/{dag_id}/dagRuns/once",
        f"/dags/{dag_id}/dagRuns/once/taskInstances",
        f"/dagSources/{dag_id}",
    ):
        assert other.ask("GET", api + path).status_code in (403, 404), path


def test_a_user_changes_nothing_in_airflow_not_even_his_own(owner: Person, dag_id: str) -> None:
    api = f"{owner.server.url}/api/v2"
    attempts = [
        ("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None}),
        ("POST", f"/dags/{dag_id}/clearTaskInstances", {"dry_run": False}),
        ("POST", f"/dags/{dag_id}/dagRuns/once/clear", {"dry_run": False}),
        ("PATCH", f"/dags/{dag_id}", {"is_paused": True}),
        ("PATCH", f"/dags/{dag_id}/dagRuns/once", {"state": "success"}),
        ("DELETE", f"/dags/{dag_id}/dagRuns/once", None),
        ("DELETE", f"/dags/{dag_id}", None),
        ("POST", "/variables", {"key": "a", "value": "b"}),
        ("POST", "/connections", {"connection_id": "a", "conn_type": "http"}),
        ("POST", "/pools", {"name": "a", "slots": 1}),
        ("POST", "/backfills", {"dag_id": dag_id, "from_date": "2026-01-01", "to_date": "2026-01-02"}),
    ]
    for method, path, body in attempts:
        answer = owner.ask(method, api + path, json=body)
        assert answer.status_code == 403, (method, path, answer.status_code, answer.text)


def test_a_user_reads_nothing_else_in_airflow(owner: Person, dag_id: str) -> None:
    api = f"{owner.server.url}/api/v2"
    for path in ("/connections", "/variables", "/pools", "/config", "/eventLogs", "/jobs", "/providers"):
        answer = owner.ask("GET", api + path)
        hidden = answer.status_code == 403 or (answer.ok and answer.json().get("total_entries") == 0)
        assert hidden, (path, answer.status_code, answer.text[:200])


def test_the_administrator_sees_everybody_s(admin: Person, dag_id: str) -> None:
    found = admin.ask("GET", f"{admin.server.url}/api/v2/dags").json()["dags"]
    assert dag_id in [dag["dag_id"] for dag in found]
    assert admin.ask("GET", f"/jobs/{dag_id.removeprefix('job_')}/logs").status_code == 404  # it has no hold
