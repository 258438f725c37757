"""A running market with lent machines, a lender and a buyer.

Each folder is a process of its own: machines and lender are there once for all of them, everybody else once
for each.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from fcntl import LOCK_EX, flock
from typing import Any

import pytest
import requests
from agents import Agent
from people import Person, end_open_jobs, known_to_all, person

from market.kit import settings
from market.ops.cli import demo
from market.ops.python_path import python_path


@pytest.fixture(scope="module", autouse=True)
def nothing_left(stack: settings.Settings) -> Iterator[None]:
    """Leave the machines free to the next file, whatever failed in this one."""
    yield
    end_open_jobs()


@pytest.fixture(scope="session")
def lender(stack: settings.Settings) -> Person:
    return known_to_all(stack, "lender")


@pytest.fixture(scope="session")
def buyer(stack: settings.Settings) -> Person:
    return person(stack, "buyer")


@pytest.fixture(scope="session")
def stranger(stack: settings.Settings) -> Person:
    return person(stack, "stranger")


@pytest.fixture(scope="session")
def machines(stack: settings.Settings, lender: Person) -> list[dict[str, Any]]:
    """Lend two machines of different sizes through the agent, as the demo does; for all processes once."""
    file = stack.paths.secrets / "test_lender_password"
    with (stack.paths.run / "test-machines.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        file.touch(mode=0o600)
        file.write_text(lender.password)
        demo.lend(stack, lender.rest, lender.username, file)
    return list(lender.rest.get("/machines", limit=200)["machines"])


@pytest.fixture(scope="module")
def owner(stack: settings.Settings) -> Person:
    return person(stack, "owner")


@pytest.fixture(scope="module")
def lenders(
    stack: settings.Settings, owner: Person, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Agent]]:
    """Return a function that starts an agent of a size that no other file uses."""
    agents: list[Agent] = []
    folder = tmp_path_factory.mktemp("agents")
    password = folder / "password"
    password.write_text(owner.password)

    def start(
        name: str, hours: str = "1", *more: str, kind: str = "cpu", cores: int = 1, gib: int | None = None
    ) -> Agent:
        words = ["share", "--cores", str(cores), "--memory", f"{gib or cores}g", "--type", kind]
        words += ["--hours", hours]
        words += ["--password-file", str(password), "--server", stack.url("api"), *more]
        agent = Agent.start(
            [sys.executable, "-m", "market.ops.cli", *words],
            name,
            owner,
            folder / f"{name}.log",
            {**os.environ, "PYTHONPATH": python_path(settings.ROOT)},
            cwd=settings.ROOT,
        )
        agents.append(agent)  # threads of one file lend side by side: the last one may be another's
        return agent

    yield start
    for agent in agents:
        agent.interrupt()
    for agent in agents:
        agent.end()


@pytest.fixture
def lend(lenders: Callable[..., Agent]) -> Iterator[Callable[..., Agent]]:
    """Return the same; the machines leave after the test, while the next one runs."""
    agents: list[Agent] = []

    def start(*words: str, **options: Any) -> Agent:
        agents.append(lenders(*words, **options))
        return agents[-1]

    yield start
    for agent in agents:
        agent.interrupt()


@pytest.fixture(scope="session")
def admin(stack: settings.Settings) -> requests.Session:
    """Speak to Airflow's own API as the administrator."""
    session = requests.Session()
    login = {"username": stack.service.admin, "password": stack.secret("admin_password")}
    answer = session.post(f"{stack.url('api')}/auth/token", json=login, timeout=30)
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Return a text without the indentation that it has in a test."""
    return lambda text: textwrap.dedent(text).lstrip()
