"""Passwords at a real api-server: every door counts attempts, knows the rule, and ends older tokens."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Any

import pytest
import requests
from airflow_accounts import Person, log_in, sql
from airflow_server import Airflow

from market.airflow import service_token
from market.kit import settings

pytestmark = pytest.mark.database

Register = Callable[..., Person]
_FORM = "/auth/login/"
_REFUSED = 403  # what Airflow's own interface says of a token that is not valid


def visit(server: Airflow) -> tuple[requests.Session, str]:
    """Return a browser's session at the login form, and the form's token."""
    session = requests.Session()
    return session, _csrf(session.get(server.url + _FORM, timeout=30).text)


def _csrf(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found, page[:500]
    return found.group(1)


def by_form(server: Airflow, path: str = _FORM, multipart: bool = False) -> Callable[[str, str], int]:
    """Return how somebody logs in by the form; the status is that of the answer itself."""
    session, token = visit(server)

    def send(username: str, password: str) -> int:
        fields = {"username": username, "password": password, "csrf_token": token}
        body: dict[str, Any] = (
            {"files": {name: (None, value) for name, value in fields.items()}}
            if multipart
            else {"data": fields}
        )
        answer = session.post(server.url + path, allow_redirects=False, timeout=30, **body)
        if answer.status_code in (301, 302, 307, 308) and path != _FORM:  # to the form's one address
            answer = session.post(server.url + _FORM, allow_redirects=False, timeout=30, **body)
        return answer.status_code

    return send


def by_json(server: Airflow, path: str) -> Callable[[str, str], int]:
    def send(username: str, password: str) -> int:
        body = {"username": username, "password": password}
        return requests.post(server.url + path, json=body, timeout=30).status_code

    return send


WAYS: dict[str, Callable[[Airflow], Callable[[str, str], int]]] = {
    "the market's": lambda server: by_json(server, "/market/api/v1/login"),
    "Airflow's token": lambda server: by_json(server, "/auth/token"),
    "Airflow's token for its command line": lambda server: by_json(server, "/auth/token/cli"),
    "the form": by_form,
    "the form with two slashes": lambda server: by_form(server, "/auth//login/"),
    "the form in parts": lambda server: by_form(server, multipart=True),
}


def bucket(username: str) -> str:
    """Return where attempts of strangers at an account are counted."""
    return f"login as {hashlib.sha256(username.encode()).hexdigest()}"


def emptied(cursor: Any, username: str) -> None:
    """Let strangers have used up all attempts at an account for an hour, and the others none."""
    cursor.execute("DELETE FROM attempt")
    cursor.execute("INSERT INTO attempt VALUES (%s, market.now_ms() + 3600000)", [bucket(username)])


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_log_in_counts_attempts(api_server: Airflow, register: Register, way: str) -> None:
    person = register("counted")
    with sql(api_server) as cursor:  # a stranger: nobody has logged in from here
        cursor.execute("DELETE FROM attempt")
        cursor.execute("DELETE FROM known_client")
    send = WAYS[way](api_server)
    assert send(person.username, "not this one") != 429
    with sql(api_server) as cursor:
        cursor.execute("SELECT bucket FROM attempt WHERE bucket LIKE 'login %%'")
        counted = {row[0] for row in cursor.fetchall()}
        assert bucket(person.username) in counted
        assert len(counted) == 2, "and one of the address"
        emptied(cursor, person.username)
    assert send(person.username, person.password) == 429, "the right one is not tried either"


def test_the_name_and_the_address_in_any_letters_are_one_account(
    api_server: Airflow, register: Register
) -> None:
    """Else each spelling would have attempts of its own."""
    person = register("spelled")
    with sql(api_server) as cursor:
        cursor.execute("DELETE FROM known_client")
        emptied(cursor, person.username)
    send = WAYS["Airflow's token"](api_server)
    mail = f"{person.username}@example.org"
    assert [send(name, "not this one") for name in (person.username, mail, mail.upper())] == [429] * 3


def test_a_stranger_locks_nobody_out(api_server: Airflow, register: Register) -> None:
    """Whoever has logged in from an address before has attempts of his own there."""
    person = register("known")  # has just logged in from here
    with sql(api_server) as cursor:
        emptied(cursor, person.username)
    assert log_in(api_server, person.username, person.password).token
    with sql(api_server) as cursor:
        cursor.execute("DELETE FROM known_client")
    assert WAYS["the market's"](api_server)(person.username, person.password) == 429


def test_the_market_s_own_processes_need_no_password(
    api_server: Airflow, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They sign a token themselves; ten wrong logins as the administrator do not stop them."""
    with sql(api_server) as cursor:
        cursor.execute("SELECT fab_user_id FROM member WHERE username = 'admin'")
        login_id = cursor.fetchone()[0]
    monkeypatch.setattr(settings.Settings, "secret", lambda self, name: api_server.jwt_secret)
    token = service_token.of(login_id)
    header = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{api_server.url}/api/v2/dags", headers=header, timeout=30).status_code == 200
    monkeypatch.setattr(settings.Settings, "secret", lambda self, name: "another" * 10)
    header = {"Authorization": f"Bearer {service_token.of(login_id)}"}
    assert requests.get(f"{api_server.url}/api/v2/dags", headers=header, timeout=30).status_code == _REFUSED


def test_a_change_needs_the_old_password_and_ends_all_older_tokens(
    api_server: Airflow, register: Register
) -> None:
    person = register("changes")
    other = log_in(api_server, person.username, person.password)
    browser, token = visit(api_server)
    fields = {"username": person.username, "password": person.password, "csrf_token": token}
    browser.post(api_server.url + _FORM, data=fields, timeout=30)
    new = secrets.token_hex(8)

    def change(old: str, wanted: str) -> requests.Response:
        return person.ask("PUT", "/users/me/password", json={"old_password": old, "new_password": wanted})

    assert change("not this one", new).json()["errors"] == {"old_password": ["is wrong"]}
    assert list(change(person.password, "password1").json()["errors"]) == ["new_password"]
    assert list(change(person.password, person.username).json()["errors"]) == ["new_password"]
    assert change(person.password, person.password).status_code == 422
    assert other.ask("GET", "/users/me").status_code == 200

    answer = change(person.password, new)
    assert answer.status_code == 200
    fresh = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert requests.get(f"{api_server.market}/users/me", headers=fresh, timeout=30).status_code == 200
    for older in (person, other):
        assert older.ask("GET", "/users/me").status_code == 401
        assert older.ask("GET", f"{api_server.url}/api/v2/dags").status_code == _REFUSED
    page = browser.get(f"{api_server.url}/pluginsv2/market/jobs/", timeout=30, allow_redirects=False)
    assert page.status_code != 200
    assert WAYS["the market's"](api_server)(person.username, person.password) == 401
    assert log_in(api_server, person.username, new).token


def test_airflow_s_own_page_asks_for_the_old_password_too(api_server: Airflow, register: Register) -> None:
    person = register("page")
    browser, token = visit(api_server)
    fields = {"username": person.username, "password": person.password, "csrf_token": token}
    browser.post(api_server.url + _FORM, data=fields, timeout=30)
    place = f"{api_server.url}/auth/resetmypassword/form"
    new = secrets.token_hex(8)

    def change(old: str, wanted: str) -> str:
        page = browser.get(place, timeout=30)
        sent = {"csrf_token": _csrf(page.text), "current_password": old}
        return browser.post(
            place, data={**sent, "password": wanted, "conf_password": wanted}, timeout=30
        ).text

    assert "is wrong" in change("not this one", new)
    assert "everybody tries first" in change(person.password, "password1")
    assert person.ask("GET", "/users/me").status_code == 200
    change(person.password, new)
    assert person.ask("GET", "/users/me").status_code == 401
    assert log_in(api_server, person.username, new).token


def test_the_rule_holds_where_an_administrator_makes_somebody(api_server: Airflow, admin: Person) -> None:
    body = {
        "username": f"made-{secrets.token_hex(4)}",
        "first_name": "Made",
        "last_name": "Up",
        "email": f"{secrets.token_hex(4)}@example.org",
        "roles": [{"name": "MarketUser"}],
        "password": "password",
    }
    place = f"{api_server.url}/auth/fab/v1/users"
    answer = admin.ask("POST", place, json=body)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["password"])
    assert admin.ask("POST", place, json=body | {"password": secrets.token_hex(8)}).status_code == 200


@pytest.mark.parametrize("place", ["/auth/logout", "/auth/logout/", "/auth//logout/", "/api/v2/auth/logout"])
def test_a_logout_by_any_way_ends_the_token(api_server: Airflow, register: Register, place: str) -> None:
    person = register("leaves")
    session = requests.Session()
    session.cookies.set("_token", person.token)
    session.get(api_server.url + place, timeout=30)
    assert person.ask("GET", "/users/me").status_code == 401
