"""People who are registered at a real api-server."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest
import requests
from airflow_server import Airflow

from market.ops.database import postgres


@dataclass(frozen=True)
class Person:
    """A member with a token."""

    server: Airflow
    username: str
    password: str
    user_id: str
    token: str

    def ask(self, method: str, url: str, **options: Any) -> requests.Response:
        """Send a request with the token; a path alone is one of the market's routes."""
        address = url if url.startswith("http") else self.server.market + url
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return requests.request(method, address, headers=headers, timeout=30, **options)


@contextmanager
def sql(server: Airflow, schema: str = "market") -> Iterator[Any]:
    """Yield a cursor of the superuser, to look, and to write what other processes would."""
    connection = psycopg2.connect(server.database.url(postgres.SUPERUSER))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT set_config('search_path', %s, false)", [schema])
            yield cursor
    finally:
        connection.close()


@pytest.fixture(autouse=True)
def no_attempts_yet(request: pytest.FixtureRequest) -> None:
    """Let each test of the api-server begin with full buckets: all that come from one address share them."""
    if "api_server" in request.fixturenames:  # no other test needs one started
        with sql(request.getfixturevalue("api_server")) as cursor:
            cursor.execute("DELETE FROM attempt")


@pytest.fixture
def register(api_server: Airflow) -> Callable[..., Person]:
    """Return a function that registers somebody new and logs him in."""

    return functools.partial(registered, api_server)


def registered(server: Airflow, name: str = "someone") -> Person:
    """Register somebody new, by a name that begins so, and log him in."""
    username, password = f"{name}-{secrets.token_hex(4)}", secrets.token_hex(8)
    body = {"username": username, "password": password, "email": f"{username}@example.org"}
    made = requests.post(f"{server.market}/users", json=body, timeout=30)
    assert made.status_code == 201, made.text
    return log_in(server, username, password, made.json()["user_id"])


def log_in(server: Airflow, username: str, password: str, user_id: str = "") -> Person:
    """Log somebody in with his password."""
    answer = requests.post(
        f"{server.market}/login", json={"username": username, "password": password}, timeout=30
    )
    assert answer.status_code == 201, answer.text
    return Person(
        server, username, password, user_id or answer.json()["user_id"], answer.json()["access_token"]
    )


def make_token(person: Person, *scopes: str, name: str = "", **fields: Any) -> str:
    """Make a token for a program of somebody's; return its text."""
    body = {"name": name or "-".join(scopes), "scopes": scopes, **fields}
    answer = person.ask("POST", "/users/me/tokens", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


@pytest.fixture
def admin(api_server: Airflow) -> Person:
    """Return the administrator, logged in."""
    return log_in(api_server, "admin", api_server.admin_password)
