"""Every route of the market, asked by every kind of caller, at a real api-server: the generated attack.

What comes out must be a documented status and, if it is a refusal, a problem document. Nothing is a fault.
"""

from __future__ import annotations

import itertools
import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from airflow_accounts import Person, make_token, sql
from airflow_server import Airflow

from market.kit.vocabulary import TOKEN_SCOPES

pytestmark = pytest.mark.database

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_PROBLEM = "application/problem+json"
_NOBODY_S = "0" * 32
# What a path's parameter may be filled with by somebody who tries things.
_ODD = (
    "%00",
    "..%2F..%2Fetc%2Fpasswd",
    "%E2%80%AE",
    "x" * 300,
    "1" * 5000,
    "%C2%B2",
    "a%0Ab",
    "a%09",
    "%0A",
    "'",
)
_QUERIES = (
    "limit=-1",
    "limit=²",
    f"limit={'9' * 5000}",
    "offset=1e9",
    "order_by=%00",
    "format=exe",
    "now=maybe",
)
_QUERIES += ("scope=all", "dry_run=2", f"tail={'1' * 5000}", "wait=31", "path=../..", "path=%0A", "path=/etc")
_BODIES = (b"", b"[]", b"{", b"\xff", b'{"a": NaN}', b'{"%s": 1}' % (b"x" * 999), b'{"a": "\\ud800"}')


@dataclass(frozen=True)
class Operation:
    """A route and a method, as the document tells of them."""

    method: str
    path: str
    told: dict[str, Any]

    @property
    def public(self) -> bool:
        return self.told["security"] == []

    @property
    def scopes(self) -> set[str]:
        """What a token for programs may have here; empty where none is taken."""
        return {one for told in self.told["security"] for one in told.get("program", ())}

    def filled(self, value: str = _NOBODY_S) -> str:
        return re.sub(r"{\w+}", value, self.path)


@pytest.fixture(scope="module")
def operations(api_server: Airflow) -> list[Operation]:
    found = []
    for where in ("/market/api/v1", "/market/agent/v1"):
        document = requests.get(f"{api_server.url}{where}/openapi.json", timeout=30).json()
        found += [
            Operation(method.upper(), path, told)
            for path, methods in document["paths"].items()
            for method, told in methods.items()
        ]
    assert len(found) > 50
    return found


Ask = Callable[..., requests.Response]


@pytest.fixture
def ask(api_server: Airflow) -> Iterator[Ask]:
    """Return a function that sends a request as it is, and holds its answer to what holds for all."""
    with requests.Session() as session:

        def send(method: str, path: str, token: str = "", **options: Any) -> requests.Response:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            headers |= options.pop("headers", {})
            request = requests.Request(method, api_server.url, headers=headers, **options).prepare()
            request.url = api_server.url + path  # not tidied up on the way
            answer = session.send(request, timeout=60, allow_redirects=False)
            place = f"{method} {path[:200]}: {answer.status_code} {answer.text[:300]}"
            assert answer.status_code != 500, place
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == _PROBLEM, place
                if method != "HEAD":
                    assert answer.json()["status"] == answer.status_code, place
                    assert not re.search(r"Traceback|\.py\b|Error\(|<class|\{'", answer.json()["detail"]), (
                        place
                    )
            return answer

        yield send


def test_without_a_valid_login_everything_else_is_401(ask: Ask, operations: list[Operation]) -> None:
    public = {one.path for one in operations if one.public}
    for path in sorted({one.path for one in operations} - public):
        for method in _METHODS:
            for token in ("", "x.y.z"):
                answer = ask(method, re.sub(r"{\w+}", _NOBODY_S, path), token)
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"
        for odd in ("%0A", "%09x"):
            assert ask("GET", re.sub(r"{\w+}", _NOBODY_S, path) + odd).status_code == 401
    assert ask("GET", "/market/api/v1/nowhere").status_code == 401
    assert ask("GET", "/market/api/v1/jobs%0A").status_code == 401
    assert ask("GET", "/market%0A/api/v1/jobs").status_code == 401


def test_another_method_names_all(ask: Ask, operations: list[Operation], register: Any) -> None:
    token = register("methods").token
    takes: dict[str, set[str]] = {}
    for one in operations:
        takes.setdefault(one.path, set()).update(
            {one.method, "HEAD"} if one.method == "GET" else {one.method}
        )
    # Two addresses may fit: what is documented without a parameter goes before.
    for path, template in itertools.permutations(takes, 2):
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
            takes[path] |= takes[template]
    for path, methods in takes.items():
        for method in sorted(set(_METHODS) - methods):
            answer = ask(method, re.sub(r"{\w+}", _NOBODY_S, path) if "hadoop" not in path else path, token)
            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["allow"].split(", ")) >= methods, (method, path)


def test_what_is_another_s_or_nobody_s_is_not_there(
    ask: Ask, operations: list[Operation], register: Any, admin: Person
) -> None:
    person = register("stranger")
    for one in operations:
        if not re.search(r"{(job|machine|user|project)_id}", one.path):
            continue
        for place in (one.filled(), re.sub(r"{\w+}", admin.user_id, one.path)):
            answer = ask(one.method, place, person.token, json={})
            allowed = {404, 422} if one.scopes else {403, 404, 422}  # what is an administrator's
            assert answer.status_code in allowed, (one, answer.text)


def test_a_token_for_programs_opens_what_its_scope_says_and_no_more(
    ask: Ask, operations: list[Operation], register: Any, api_server: Airflow
) -> None:
    """Every route by tokens of each scope, and by those that have expired or were revoked."""
    person = register("programs")
    token = {scope: make_token(person, scope) for scope in TOKEN_SCOPES}
    revoked, expired = (make_token(person, *TOKEN_SCOPES, name=name) for name in ("revoked", "expired"))
    [gone] = [
        one for one in person.ask("GET", "/users/me/tokens").json()["tokens"] if one["name"] == "revoked"
    ]
    assert person.ask("DELETE", f"/users/me/tokens/{gone['token_id']}").status_code == 204
    with sql(api_server) as cursor:
        cursor.execute(
            "UPDATE program_token SET created_ms = 1, expires_ms = 2 WHERE name = 'expired' RETURNING user_id"
        )
        assert cursor.fetchall() == [(person.user_id,)]
    opened = dict.fromkeys(TOKEN_SCOPES, 0)
    for one in operations:
        if one.public:
            continue
        for ended in (revoked, expired):
            assert ask(one.method, one.filled(), ended, json={}).status_code == 401, one
        for scope in TOKEN_SCOPES:
            answer = ask(one.method, one.filled(), token[scope], json={})
            if scope in one.scopes:
                opened[scope] += 1
                assert answer.status_code not in (401, 403), (scope, one, answer.text)
                continue
            assert answer.status_code == 403, (scope, one, answer.text)
            assert answer.json()["scope"] == (min(one.scopes) if one.scopes else None)
            assert all(needed in answer.json()["detail"] for needed in one.scopes)
    assert min(opened.values()) > 4, opened


def test_odd_addresses_queries_and_bodies_are_answered_as_documented(
    ask: Ask, operations: list[Operation], register: Any, admin: Person
) -> None:
    """Hundreds of requests that no honest program sends; the document says each status that comes."""
    asked = 0
    for who in (register("tries"), admin):
        for one in operations:
            if one.public or one.path.endswith("/heartbeat"):
                continue
            tries: list[tuple[str, dict[str, Any]]] = []
            if "{" in one.path:
                tries += [(one.filled(odd), {}) for odd in _ODD]
            if any(told["in"] == "query" for told in one.told["parameters"]):
                tries += [(f"{one.filled()}?{query}", {}) for query in _QUERIES]
            if one.method in ("POST", "PUT"):
                tries += [(one.filled(), {"data": body}) for body in _BODIES]
                tries += [(one.filled(), {"data": b"{}", "headers": {"Idempotency-Key": "k" * 300}})]
            for path, options in tries:
                answer = ask(one.method, path, who.token, **options)
                asked += 1
                # An address that this one became by its parameter is another one.
                moved = answer.status_code in (404, 405) and "{" in one.path
                known = {*one.told["responses"], "401"}
                assert str(answer.status_code) in known or moved, (one.method, path[:200], answer.text[:300])
    assert asked > 1000


def test_what_changes_something_says_which_scope_it_takes(operations: list[Operation]) -> None:
    """A token to read can only read, whatever route is added."""
    for one in operations:
        if one.method != "GET" and one.path != "/market/api/v1/users/me":
            assert "read" not in one.scopes, one
    for path in ("/users/me/password", "/users/me/tokens", "/users/{user_id}/grants", "/audit"):
        assert not any(one.scopes for one in operations if one.path == f"/market/api/v1{path}"), path


def test_thousands_of_digits_are_no_number(ask: Ask, register: Any) -> None:
    token = register("digits").token
    for digits in ("1" * 5000, "%C2%B2", "0" * 5000, "-1", "9" * 19):
        assert ask("GET", f"/market/api/v1/settlements/{digits}", token).status_code == 404


def test_a_content_length_of_thousands_of_digits(api_server: Airflow, register: Any) -> None:
    person = register("length")
    host, port = api_server.url.removeprefix("http://").split(":")
    for length in (b"1" * 5000, b"\xb2", b"-1"):
        with socket.create_connection((host, int(port)), timeout=30) as line:
            head = (
                f"PUT /market/api/v1/files/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {person.token}\r\n"
            )
            line.sendall(head.encode() + b"Content-Length: " + length + b"\r\n\r\n")
            assert line.recv(100).split(b" ")[1] in (b"400", b"413", b"422")


def test_a_page_s_number_may_be_anything(api_server: Airflow, register: Any) -> None:
    person = register("pages")
    with requests.Session() as browser:
        browser.cookies.set("_token", person.token)
        for number in ("²", "1" * 5000, "-1", "0", "x"):
            for page in ("jobs", "machines", "credits", "overview"):
                answer = browser.get(
                    f"{api_server.url}/pluginsv2/market/{page}/", params={"page": number}, timeout=60
                )
                assert answer.status_code != 500, (page, number)


def test_the_document_says_what_it_is(api_server: Airflow) -> None:
    document = requests.get(f"{api_server.market}/openapi.json", timeout=30)
    assert json.loads(document.text)["openapi"] == "3.1.0"
