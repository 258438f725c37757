"""A suspended account at a real api-server: what spoke for it is told so at once, at every door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from airflow_accounts import Person, log_in, make_token, sql
from airflow_server import Airflow

pytestmark = pytest.mark.database

Register = Callable[..., Person]
REASON = "sells what is not his"


def by(token: str, url: str) -> requests.Response:
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def page(server: Airflow, token: str, place: str = "credits/") -> requests.Response:
    address = f"{server.url}/pluginsv2/market/{place}"
    return requests.get(address, cookies={"_token": token}, allow_redirects=False, timeout=30)


def attempt(server: Airflow, person: Person, password: str = "") -> requests.Response:
    body = {"username": person.username, "password": password or person.password}
    return requests.post(f"{server.market}/login", json=body, timeout=30)


def act(admin: Person, person: Person, what: str, **body: Any) -> requests.Response:
    return admin.ask("POST", f"/users/{person.user_id}/{what}", json=body)


def test_every_door_is_shut_at_once_and_the_person_is_told_why(
    api_server: Airflow, register: Register, admin: Person
) -> None:
    person, other = register("suspended"), register("kept")
    program = make_token(person, "read")
    dags = f"{api_server.url}/api/v2/dags"
    for token in (person.token, program):  # all that looks him up has seen him a moment ago
        assert by(token, f"{api_server.market}/jobs").status_code == 200
    assert by(person.token, dags).status_code == 200
    assert page(api_server, person.token).status_code == 200
    assert act(admin, person, "suspend", reason=REASON).status_code == 200
    for token in (person.token, program):
        refused = by(token, f"{api_server.market}/jobs")
        assert (refused.status_code, refused.json()["title"]) == (401, "Account suspended")
        assert REASON in refused.json()["detail"]
    assert by(person.token, dags).status_code in (401, 403)
    assert page(api_server, person.token).status_code == 401
    agent = f"{api_server.url}/market/agent/v1/handshake"
    assert (
        requests.post(agent, json={}, headers={"Authorization": f"Bearer {program}"}, timeout=30).status_code
        == 401
    )
    told = attempt(api_server, person)
    assert (told.status_code, told.json()["title"]) == (401, "Account suspended")
    assert REASON in told.json()["detail"]
    wrong = attempt(api_server, person, "not the password")
    assert wrong.status_code == 401
    assert REASON not in wrong.text, "that is for him alone who knows the password"
    direct = {"username": person.username, "password": person.password}
    token = requests.post(f"{api_server.url}/auth/token", json=direct, timeout=30)
    assert (token.status_code, REASON in token.text) == (401, True)
    assert by(other.token, f"{api_server.market}/jobs").status_code == 200


def test_after_it_only_what_was_issued_anew_opens_anything(
    api_server: Airflow, register: Register, admin: Person
) -> None:
    person = register("reopened")
    program = make_token(person, "read")
    act(admin, person, "suspend", reason=REASON)
    assert act(admin, person, "reopen", reason="a mistake").json()["state"] == "active"
    for token in (person.token, program):
        assert by(token, f"{api_server.market}/jobs").status_code == 401
    assert by(person.token, f"{api_server.url}/api/v2/dags").status_code in (401, 403)
    assert page(api_server, person.token).status_code == 401
    again = log_in(api_server, person.username, person.password, person.user_id)
    assert again.ask("GET", "/jobs").status_code == 200
    assert page(api_server, again.token).status_code == 200
    shown = admin.ask("GET", f"/users/{person.user_id}").json()
    assert shown["last_login_time"] > shown["created_time"]


def test_a_session_of_airflow_s_own_pages_ends(
    api_server: Airflow, register: Register, admin: Person
) -> None:
    """Those pages know a person by a session, which no token of the market is part of."""
    person = register("session")
    with requests.Session() as browser:
        form = browser.get(f"{api_server.url}/auth/login/", timeout=30).text
        token = form.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
        sent = {"username": person.username, "password": person.password, "csrf_token": token}
        browser.post(f"{api_server.url}/auth/login/", data=sent, allow_redirects=False, timeout=30)
        own = f"{api_server.url}/auth/resetmypassword/form"
        browser.cookies.set("_token", None)
        assert browser.get(own, allow_redirects=False, timeout=30).status_code == 200
        act(admin, person, "suspend", reason=REASON)
        assert browser.get(own, allow_redirects=False, timeout=30).status_code != 200
        act(admin, person, "reopen", reason="a mistake")
        assert browser.get(own, allow_redirects=False, timeout=30).status_code != 200


def test_the_market_s_own_account_stays(api_server: Airflow, register: Register, admin: Person) -> None:
    refused = act(admin, admin, "suspend", reason="myself")
    assert refused.status_code == 409
    assert act(register("member"), admin, "suspend", reason="mine now").status_code == 403
    with sql(api_server) as cursor:
        cursor.execute("SELECT suspended_ms FROM member WHERE user_id = %s", [admin.user_id])
        assert cursor.fetchone() == (None,)


def test_who_deactivates_his_account_is_out_at_every_door_until_it_is_reopened(
    api_server: Airflow, register: Register, admin: Person
) -> None:
    person = register("leaves")
    program = make_token(person, "read", "submit")
    assert by(program, f"{api_server.market}/jobs").status_code == 200
    path = f"{api_server.market}/users/me/deactivate"
    headers = {"Authorization": f"Bearer {program}"}
    sent = requests.post(path, json={"password": person.password}, headers=headers, timeout=30)
    assert sent.status_code == 403, "a program does not leave for its person"
    wrong = person.ask("POST", "/users/me/deactivate", json={"password": "not the password"})
    assert (wrong.status_code, set(wrong.json()["errors"])) == (422, {"password"})
    done = person.ask("POST", "/users/me/deactivate", json={"password": person.password})
    assert (done.status_code, done.json()["cancelled_jobs"]) == (200, 0)
    for token in (person.token, program):
        refused = by(token, f"{api_server.market}/jobs")
        assert (refused.status_code, refused.json()["title"]) == (401, "Account suspended")
        assert "deactivated by its owner" in refused.json()["detail"]
    assert page(api_server, person.token).status_code == 401
    assert attempt(api_server, person).status_code == 401
    shown = admin.ask("GET", f"/users/{person.user_id}").json()
    assert (shown["state"], shown["suspended_by"]) == ("suspended", person.username)
    assert act(admin, person, "reopen", reason="is back").status_code == 200
    again = log_in(api_server, person.username, person.password, person.user_id)
    assert again.ask("GET", "/users/me").json()["credit"] == "15.000000"


def test_the_page_account_deactivates_too_and_names_what_is_wrong(
    api_server: Airflow, register: Register
) -> None:
    person = register("leaver")
    with requests.Session() as browser:
        browser.cookies.set("_token", person.token)
        account = f"{api_server.url}/pluginsv2/market/account/"
        form = browser.get(account, timeout=30).text
        sent = {"csrf_token": form.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]}
        refused = browser.post(f"{account}deactivate", data=sent | {"password_to_leave": "no"}, timeout=30)
        assert (refused.status_code, "is wrong" in refused.text) == (422, True)
        done = browser.post(
            f"{account}deactivate", data=sent | {"password_to_leave": person.password}, timeout=30
        )
        assert (done.status_code, "Your account is deactivated" in done.text) == (200, True)
        assert browser.get(account, timeout=30).status_code == 401
