"""Tokens for programs at a real api-server: what they open, how they end, and what is kept of them."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from airflow_accounts import Person, log_in, make_token, sql
from airflow_server import Airflow

from market.kit.vocabulary import TOKEN_SCOPES
from market.people import program_tokens

pytestmark = pytest.mark.database

Register = Callable[..., Person]
_TOKENS = "/users/me/tokens"


def by(token: str, server: Airflow, method: str, path: str, **options: Any) -> requests.Response:
    """Send a request with a token for programs."""
    url = path if path.startswith("http") else server.market + path
    headers = {"Authorization": f"Bearer {token}"}
    return requests.request(method, url, headers=headers, timeout=30, **options)


def is_refused_soon(token: str, server: Airflow) -> None:
    """See that a token ends within a few seconds: a login is looked up once a second."""
    until = time.monotonic() + 5
    while by(token, server, "GET", "/jobs").status_code != 401:
        assert time.monotonic() < until
        time.sleep(0.1)


def lines(server: Airflow, person: Person) -> list[str]:
    """Return what the audit says of somebody's account, oldest first."""
    with sql(server) as cursor:
        cursor.execute(
            "SELECT subject || ': ' || detail FROM audit WHERE kind = 'account' AND actor = %s"
            " ORDER BY audit_id",
            [person.username],
        )
        return [row[0] for row in cursor.fetchall()]


def test_a_token_speaks_for_its_maker_and_its_last_use_is_shown(
    api_server: Airflow, register: Register
) -> None:
    person = register("maker")
    token = make_token(person, "read", name="nightly report")
    [shown] = person.ask("GET", _TOKENS).json()["tokens"]
    assert (shown["name"], shown["scopes"], shown["last_used_time"]) == ("nightly report", ["read"], None)
    assert shown["expires_time"] - shown["created_time"] == 90 * 24 * 3600 * 1000
    assert "token" not in shown, "its text is shown once"
    assert by(token, api_server, "GET", "/users/me").json()["user_id"] == person.user_id
    [shown] = person.ask("GET", _TOKENS).json()["tokens"]
    assert shown["last_used_time"] >= shown["created_time"]


def test_only_a_hash_is_kept(api_server: Airflow, register: Register) -> None:
    person = register("hashed")
    key = secrets.token_hex(8)
    body = {"name": "kept", "scopes": ["read"]}
    made = person.ask("POST", _TOKENS, json=body, headers={"Idempotency-Key": key})
    token = made.json()["token"]
    with sql(api_server) as cursor:
        cursor.execute("SELECT hash FROM program_token WHERE user_id = %s", [person.user_id])
        assert [bytes(row[0]) for row in cursor.fetchall()] == [hashlib.sha256(token.encode()).digest()]
        cursor.execute("SELECT count(*) FROM idempotency WHERE key = %s", [key])
        assert cursor.fetchone() == (0,), "nor does the answer lie among those that are given again"
        cursor.execute("SELECT coalesce(string_agg(detail || subject, ' '), '') FROM audit")
        assert token not in cursor.fetchone()[0]


def test_airflow_s_own_interface_and_pages_take_none(api_server: Airflow, register: Register) -> None:
    person = register("elsewhere")
    token = make_token(person, *TOKEN_SCOPES)
    for path in ("/api/v2/dags", "/api/v2/version/../dags", "/auth/fab/v1/users", "/ui/auth/me"):
        assert by(token, api_server, "GET", f"{api_server.url}{path}").status_code in (401, 403), path
    with requests.Session() as browser:
        browser.cookies.set("_token", token)
        assert browser.get(f"{api_server.market}/users/me", timeout=30).status_code == 401
        page = browser.get(f"{api_server.url}/pluginsv2/market/jobs/", timeout=30, allow_redirects=False)
        assert page.status_code in (302, 401)
    page = by(token, api_server, "GET", f"{api_server.url}/pluginsv2/market/jobs/", allow_redirects=False)
    assert page.status_code in (302, 401)


def test_it_neither_changes_the_password_nor_makes_a_token(api_server: Airflow, register: Register) -> None:
    person = register("bounded")
    token = make_token(person, *TOKEN_SCOPES)
    body = {"old_password": person.password, "new_password": secrets.token_hex(8)}
    answers = [
        by(token, api_server, "PUT", "/users/me/password", json=body),
        by(token, api_server, "POST", _TOKENS, json={"name": "more", "scopes": ["read"]}),
        by(token, api_server, "GET", _TOKENS),
    ]
    assert [answer.status_code for answer in answers] == [403] * 3
    assert "Log in" in answers[0].json()["detail"]
    assert log_in(api_server, person.username, person.password)


def test_an_administrator_s_program_is_no_administrator(api_server: Airflow, admin: Person) -> None:
    name = secrets.token_hex(4)
    token = make_token(admin, *TOKEN_SCOPES, name=name)
    assert by(token, api_server, "GET", "/users/me").json()["is_admin"] is False
    assert by(token, api_server, "GET", "/audit").status_code == 403
    grant = {"amount": "1.000000", "reason": "no"}
    path = f"/users/{admin.user_id}/grants"
    assert by(token, api_server, "POST", path, json=grant).status_code == 403


def test_a_change_of_the_password_ends_them_all(api_server: Airflow, register: Register) -> None:
    person = register("changes")
    tokens = [make_token(person, "read", name=name) for name in ("one", "two")]
    assert [by(token, api_server, "GET", "/jobs").status_code for token in tokens] == [200, 200]
    body = {"old_password": person.password, "new_password": secrets.token_hex(8)}
    assert person.ask("PUT", "/users/me/password", json=body).status_code == 200
    assert [by(token, api_server, "GET", "/jobs").status_code for token in tokens] == [401, 401]
    assert "2 tokens of programs ended" in lines(api_server, person)[-1]


def test_a_change_by_an_administrator_ends_them_too(
    api_server: Airflow, register: Register, admin: Person
) -> None:
    """Airflow's interface writes the password itself: the token is held to the one of its time."""
    person = register("changed")
    token = make_token(person, "read")
    place, new = f"{api_server.url}/auth/fab/v1/users/{person.username}", secrets.token_hex(8)
    told = admin.ask("GET", place).json()
    body = {name: told[name] for name in ("first_name", "last_name", "email", "username", "roles")}
    answer = admin.ask("PATCH", place, json=body | {"last_name": "Person", "password": new})
    assert answer.status_code == 200, answer.text
    log_in(api_server, person.username, new)
    is_refused_soon(token, api_server)


def test_names_number_scopes_and_lifetime_are_bounded(api_server: Airflow, register: Register) -> None:
    person = register("many")
    make_token(person, "read", name="one")
    good = {"name": "two", "scopes": ["read"]}
    refused = [
        ({"name": "one"}, 409),
        ({"name": ""}, 422),
        ({"name": "x" * 65}, 422),
        ({"name": "a\nb"}, 422),
        ({"scopes": []}, 422),
        ({"scopes": ["admin"]}, 422),
        ({"scopes": ["read"] * (len(TOKEN_SCOPES) + 1)}, 422),
        ({"lifetime_s": 59}, 422),
        ({"lifetime_s": 10**9}, 422),
        ({"lifetime_s": 10**30}, 422),
        ({"lifetime_s": "60"}, 422),
    ]
    for change, status in refused:
        answer = person.ask("POST", _TOKENS, json=good | change)
        assert answer.status_code == status, (change, answer.text)
    with sql(api_server) as cursor:
        cursor.execute(
            "INSERT INTO program_token SELECT md5(n::text), user_id, 'n' || n, sha256(n::text::bytea),"
            " scopes, password_key, created_ms, expires_ms FROM program_token, generate_series(1, %s) n"
            " WHERE user_id = %s AND name = 'one'",
            [program_tokens.MOST - 1, person.user_id],
        )
    answer = person.ask("POST", _TOKENS, json=good)
    assert (answer.status_code, "Revoke one first" in answer.text) == (429, True)
    with sql(api_server) as cursor:
        cursor.execute(
            "UPDATE program_token SET created_ms = 1, expires_ms = 2 WHERE user_id = %s AND name = 'one'",
            [person.user_id],
        )
    assert make_token(person, "read", name="one"), "what has expired makes room, and frees its name"
    assert person.ask("GET", _TOKENS, params={"limit": 1}).json()["total"] == program_tokens.MOST


def test_of_many_at_once_with_one_name_one_is_made(api_server: Airflow, register: Register) -> None:
    person = register("races")
    body = {"name": "one", "scopes": ["read"]}
    with ThreadPoolExecutor(8) as threads:
        made = threads.map(lambda _: person.ask("POST", _TOKENS, json=body).status_code, range(8))
    assert sorted(made) == [201] + [409] * 7


def test_their_making_is_limited_and_in_the_audit(api_server: Airflow, register: Register) -> None:
    person = register("noted")
    make_token(person, "submit", "read", name="ci")
    [shown] = person.ask("GET", _TOKENS).json()["tokens"]
    for _ in range(2):
        answer = person.ask("DELETE", f"{_TOKENS}/{shown['token_id']}")
    assert answer.status_code == 404
    assert lines(api_server, person) == [
        f"ci: token {shown['token_id']} made for read, submit",
        f"ci: token {shown['token_id']} revoked",
    ]
    with sql(api_server) as cursor:
        bucket = f"token of {hashlib.sha256(person.user_id.encode()).hexdigest()}"
        cursor.execute("UPDATE attempt SET full_ms = full_ms + 3600000 WHERE bucket = %s", [bucket])
        assert cursor.rowcount == 1
    answer = person.ask("POST", _TOKENS, json={"name": "more", "scopes": ["read"]})
    assert (answer.status_code, "retry-after" in answer.headers) == (429, True)


def test_nobody_revokes_another_s(api_server: Airflow, register: Register) -> None:
    person, other = register("owner"), register("other")
    token = make_token(person, "read")
    [shown] = person.ask("GET", _TOKENS).json()["tokens"]
    assert other.ask("DELETE", f"{_TOKENS}/{shown['token_id']}").status_code == 404
    assert by(token, api_server, "GET", "/jobs").status_code == 200


def test_a_deactivated_person_s_are_refused(api_server: Airflow, register: Register) -> None:
    person = register("leaves")
    token = make_token(person, "read")
    with sql(api_server, "public") as cursor:
        cursor.execute("UPDATE ab_user SET active = false WHERE username = %s", [person.username])
    is_refused_soon(token, api_server)
