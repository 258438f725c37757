"""The client that a market gives away: which it is, and its bytes, for everybody and nothing beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from flask import Flask

from market.kit import settings
from market.machines import client_package
from market.people.member import Member
from market.web.api.app import create_agent_app
from market.web.api.routes import agents
from market.web.pages import machines_view

pytestmark = pytest.mark.unit

NAME = "distributedmarket-0.2.0-py3-none-any.whl"
WHEEL = b"PK a wheel"
DIGEST = hashlib.sha256(WHEEL).hexdigest()
ANNA = Member("1" * 32, "anna", "anna@example.org", False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where setup leaves the client; there is none yet."""
    loaded = settings.load()
    here = replace(loaded, paths=replace(loaded.paths, installs=tmp_path))
    for module in (client_package, agents, machines_view.settings):
        monkeypatch.setattr(module, "load", lambda: here)
    return here.paths.client_package


@pytest.fixture
def made(folder: Path) -> Path:
    """Return the client that setup has made."""
    folder.mkdir()
    (folder / NAME).write_bytes(WHEEL)
    (folder / ".gitignore").write_text("*")
    return folder / NAME


@pytest.fixture
def stranger() -> Iterator[TestClient]:
    """Speak to the market's interface for agents without a login."""
    with TestClient(create_agent_app(), base_url="http://market/v1") as client:
        yield client


def test_it_is_there_for_everybody_with_its_digest(stranger: TestClient, made: Path) -> None:
    described = stranger.get("client").json()
    assert described == {
        "file_name": NAME,
        "address": f"/market/agent/v1/client/{NAME}",
        "size": len(WHEEL),
        "sha256": DIGEST,
    }
    answer = stranger.get(f"client/{NAME}")
    assert (answer.status_code, answer.content) == (200, WHEEL)
    assert stranger.head(f"client/{NAME}").headers["Content-Length"] == str(len(WHEEL))


def test_after_an_upgrade_the_digest_is_that_of_the_new_file(stranger: TestClient, made: Path) -> None:
    assert stranger.get("client").json()["sha256"] == DIGEST
    made.write_bytes(b"another one")
    assert stranger.get("client").json()["sha256"] == hashlib.sha256(b"another one").hexdigest()


@pytest.mark.parametrize("name", [".gitignore", "..%2f..%2fsecrets", "other.whl", "%00", "x" * 5000])
def test_no_other_file_is_given(stranger: TestClient, made: Path, name: str) -> None:
    assert stranger.get(f"client/{name}").status_code in (400, 401, 404)


def test_without_one_the_answer_says_who_can_help(stranger: TestClient, folder: Path) -> None:
    for address in ("client", f"client/{NAME}"):
        answer = stranger.get(address)
        assert answer.status_code == 404
        assert "./market setup" in answer.json()["detail"]


def offered(query: str, base: str = "http://127.0.0.1:8080") -> dict[str, object]:
    with Flask(__name__).test_request_context(f"/market/machines/?{query}", base_url=base):
        return machines_view.offer(ANNA, 1.0)


def test_the_page_has_three_lines_that_fetch_check_and_lend(made: Path) -> None:
    offer = offered("cores=3&memory=6&hours=2&window=22:00-06:00&name=attic")
    assert str(offer["command"]).splitlines() == [
        "python3 -m venv ~/market-client",
        "~/market-client/bin/pip install"
        f" 'http://127.0.0.1:8080/market/agent/v1/client/{NAME}#sha256={DIGEST}'",
        "~/market-client/bin/market share --cores 3 --memory 6g --type cpu --hours 2 --window 22:00-06:00"
        " --name attic --username anna --server http://127.0.0.1:8080",
    ]
    assert offer["only_here"]


def test_a_market_without_the_client_is_joined_from_a_clone(folder: Path) -> None:
    assert offered("")["command"] == (
        "./market share --cores 2 --memory 4g --type cpu --hours 8 --username anna"
        " --server http://127.0.0.1:8080"
    )


@pytest.mark.parametrize("field", ["name", "window"])
@pytest.mark.parametrize("text", ["; ls", "$(ls)", "a b", "-x", "a\nls", "%0als", "'", "x" * 65])
def test_what_a_shell_would_obey_reaches_no_command(made: Path, field: str, text: str) -> None:
    with Flask(__name__).test_request_context("/", query_string={field: text}):
        offer = machines_view.offer(ANNA, 1.0)
    assert f"--{field}" not in str(offer["command"])
    assert offer[field] == ""
