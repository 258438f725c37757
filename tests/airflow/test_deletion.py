"""Deleting one's account at a real api-server: who may ask, and what the loop leaves of its login."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from airflow_accounts import Person, log_in, make_token, sql
from airflow_server import Airflow

from market.airflow import deletion

pytestmark = pytest.mark.database

Register = Callable[..., Person]


@pytest.fixture
def loop(api_server: Airflow, monkeypatch: pytest.MonkeyPatch) -> Callable[[Person], None]:
    """Return a function that lets somebody's days pass, and then the loop, as the triggerer has it."""
    monkeypatch.setenv("MARKET_STATE_DIR", str(api_server.settings.paths.state))
    monkeypatch.setenv("MARKET_DATABASE_URL", api_server.database.url("market_app"))

    def go_on(person: Person) -> None:
        with sql(api_server) as cursor:
            cursor.execute("UPDATE member SET deletion_due_ms = 1 WHERE user_id = %s", [person.user_id])
        deletion.run_pass()

    return go_on


def delete(person: Person, password: str = "", **fields: bool) -> requests.Response:
    return person.ask("DELETE", "/users/me", json={"password": password or person.password, **fields})


def login_of(server: Airflow, person: Person) -> tuple[object, ...]:
    with sql(server, "public") as cursor:
        cursor.execute(
            "SELECT username, email, first_name, last_name,"
            " (SELECT count(*) FROM ab_user_role r WHERE r.user_id = u.id)"
            " FROM ab_user u WHERE username = %s",
            [person.username],
        )
        found: tuple[object, ...] = cursor.fetchone()
        return found


def test_who_asks_is_its_owner_with_his_password(
    api_server: Airflow, register: Register, admin: Person
) -> None:
    path = f"{api_server.market}/users/me"
    assert requests.delete(path, json={"password": "x"}, timeout=30).status_code == 401
    person = register("stays")
    program = {"Authorization": f"Bearer {make_token(person, 'read', 'submit')}"}
    sent = requests.delete(path, json={"password": person.password}, headers=program, timeout=30)
    assert sent.status_code == 403, "a program does not leave for its person"
    assert delete(person, "not the password").json()["errors"].keys() == {"password"}
    assert person.ask("DELETE", "/users/me", json={}).status_code == 422
    assert person.ask("DELETE", f"/users/{admin.user_id}").status_code == 405
    assert delete(admin).status_code == 409, "the market works by it"
    assert person.ask("GET", "/users/me").status_code == 200


def test_an_account_is_deleted_and_of_its_login_the_username_stays(
    api_server: Airflow, register: Register, admin: Person, loop: Callable[[Person], None]
) -> None:
    person = register("gone")
    program = make_token(person, "read")
    assert person.ask("PUT", "/files/a.txt", data=b"words").status_code == 201
    asked = delete(person)
    assert (asked.status_code, asked.json()["cancelled_jobs"]) == (202, 0)
    for token in (person.token, program):
        told = requests.get(
            f"{api_server.market}/jobs", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        assert (told.status_code, told.json()["title"]) == (401, "Account suspended")
        assert "asked for its deletion" in told.json()["detail"]
    loop(person)
    assert f"/user/{person.username}" not in api_server.hdfs.nodes
    username, email, first, last, roles = login_of(api_server, person)
    assert (username, first, last, roles) == (person.username, "deleted", "account", 0)
    assert str(email).endswith("@deleted.invalid")
    body = {"username": person.username, "password": person.password}
    assert requests.post(f"{api_server.market}/login", json=body, timeout=30).status_code == 401
    again = requests.post(
        f"{api_server.market}/users", json=body | {"email": "other@example.org"}, timeout=30
    )
    assert (again.status_code, "is taken" in again.json()["detail"]) == (409, True)
    refused = admin.ask("POST", f"/users/{person.user_id}/reopen", json={"reason": "is back"})
    assert (refused.status_code, "nobody can reopen it" in refused.json()["detail"]) == (409, True)
    shown = admin.ask("GET", f"/users/{person.user_id}").json()
    assert (shown["state"], shown["email"], shown["balance"]) == ("suspended", "", "15.000000")
    address = f"{person.username}@example.org"
    new = {"username": f"{person.username[:20]}-2", "password": person.password, "email": address}
    assert requests.post(f"{api_server.market}/users", json=new, timeout=30).status_code == 201


def test_a_login_that_an_administrator_has_deleted_stops_no_deletion(
    api_server: Airflow, register: Register, admin: Person, loop: Callable[[Person], None]
) -> None:
    person = register("removed")
    assert delete(person).status_code == 202
    place = f"{api_server.url}/auth/fab/v1/users/{person.username}"
    assert admin.ask("DELETE", place).status_code == 204
    loop(person)
    with sql(api_server) as cursor:
        cursor.execute("SELECT erased_ms IS NOT NULL FROM member WHERE user_id = %s", [person.user_id])
        assert cursor.fetchone() == (True,)


def test_an_administrator_takes_it_back(
    api_server: Airflow, register: Register, admin: Person, loop: Callable[[Person], None]
) -> None:
    person = register("returns")
    assert delete(person).status_code == 202
    answer = admin.ask("POST", f"/users/{person.user_id}/reopen", json={"reason": "is back"})
    assert answer.status_code == 200
    deletion.run_pass()
    again = log_in(api_server, person.username, person.password, person.user_id)
    assert again.ask("GET", "/users/me").json()["credit"] == "15.000000"


def test_the_page_account_deletes_too_and_names_what_is_wrong(
    api_server: Airflow, register: Register
) -> None:
    person = register("leaver")
    with requests.Session() as browser:
        browser.cookies.set("_token", person.token)
        account = f"{api_server.url}/pluginsv2/market/account/"
        form = browser.get(account, timeout=30).text
        assert "7 days later" in form
        sent = {"csrf_token": form.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]}
        refused = browser.post(f"{account}delete", data=sent | {"password_to_delete": "no"}, timeout=30)
        assert (refused.status_code, "is wrong" in refused.text) == (422, True)
        done = browser.post(
            f"{account}delete", data=sent | {"password_to_delete": person.password}, timeout=30
        )
        assert (done.status_code, "Your account will be deleted" in done.text) == (200, True)
        assert browser.get(account, timeout=30).status_code == 401
