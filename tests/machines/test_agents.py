"""The interface for agents: a release that fits, and heartbeats that wait for what is new."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from market.kit import database, settings
from market.kit.errors import ConflictError
from market.machines import registry, waiting
from market.ops.run import secrets
from market.web.api import caller
from market.web.api.app import create_agent_app, create_app

pytestmark = pytest.mark.database

RELEASE = {"runtime": "a" * 64, "python": "3.11"}
AGENT = {"agent_version": "0.2.0", "api": 1, **RELEASE}
OTHER = AGENT | {"runtime": "b" * 64}
JOIN = {"service_port": 9001, "host_cores": 8, "host_memory": 8192}
BODY = {"core_count": 4, "memory_size": 4096, "machine_type": "cpu", "time_period": 3600}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Tell the market its release, as `up` does."""
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    (tmp_path / "run").mkdir()
    secrets.generate(settings.load().paths)

    def tell(**changes: str) -> None:
        (tmp_path / "run" / "release.json").write_text(json.dumps(RELEASE | changes))

    tell()
    return tell


@pytest.fixture
def client(lenders, told) -> Iterator[TestClient]:
    """Speak as anna to the market's interface for agents."""
    app = create_agent_app()
    app.dependency_overrides = {caller.current: lambda: lenders.anna}
    with TestClient(app, base_url="http://market/v1") as test_client:
        yield test_client


@pytest.fixture
def people(lenders) -> TestClient:
    """Speak as anna to the market's interface for people."""
    app = create_app()
    app.dependency_overrides = {caller.current: lambda: lenders.anna}
    return TestClient(app, base_url="http://market/api/v1")


@pytest.fixture
def machine(client: TestClient) -> str:
    """A machine that has joined."""
    registered = client.post("machines", json=BODY).json()
    token = registered["join"]["token"]
    answer = client.post(f"machines/{registered['machine_id']}/join", json=JOIN | AGENT | {"token": token})
    assert answer.status_code == 200, answer.text
    return str(registered["machine_id"])


def test_an_agent_is_told_the_classes_that_jobs_load(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = settings.load()
    paths = replace(loaded.paths, installs=tmp_path)
    few = replace(loaded.machines, archived_classes=2)
    monkeypatch.setattr(settings, "load", lambda: replace(loaded, paths=paths, machines=few))
    answer = client.get("classes")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not found")
    paths.runtime.mkdir()
    paths.class_list.write_text("# Java 17\na/First\na/Second\na/Third\n")
    assert client.get("classes").text == "# Java 17\na/First\na/Second\n"


def test_an_agent_registers_joins_and_leaves(client: TestClient, lenders) -> None:
    assert client.post("handshake", json=AGENT).json() == {"api": 1, **RELEASE}
    answer = client.post("machines", json=BODY)
    assert (answer.status_code, answer.json()["status"]) == (201, "offered")
    machine_id, token = answer.json()["machine_id"], answer.json()["join"]["token"]
    joined = client.post(f"machines/{machine_id}/join", json=JOIN | AGENT | {"token": token}).json()
    assert (joined["availability"], joined["core_count"], joined["earned"]) == ("joining", 4, "0.000000")
    assert 3500 < joined["remaining_s"] <= 3600
    assert lenders.row(machine_id).service_port == 9001
    assert client.post(f"machines/{machine_id}/resume").json()["join"]["core_count"] == 4
    left = client.delete(f"machines/{machine_id}", params={"now": "true"})
    assert (left.status_code, left.json()["status"]) == (202, "draining")
    assert lenders.row(machine_id).drain_now


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"runtime": "b" * 64}, "another release than the market's: stop the agent, update it"),
        ({"python": "3.12"}, "Python 3.12, the market with 3.11"),
        ({"api": 2}, "version 2 of the market's interface"),
    ],
)
def test_a_release_that_does_not_fit_is_refused_in_words_that_say_what_to_do(
    client: TestClient, lenders, changes: dict[str, Any], words: str
) -> None:
    registered = client.post("machines", json=BODY).json()
    join = JOIN | AGENT | {"token": registered["join"]["token"]} | changes
    for path, body in (("handshake", AGENT | changes), (f"machines/{registered['machine_id']}/join", join)):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "runtime_misfit")
        assert words in answer.json()["detail"]
    assert lenders.row(registered["machine_id"]).state == "offered"
    assert lenders.row(registered["machine_id"]).token_sha256, "its token is still good for the right release"


def test_a_used_token_is_another_conflict(client: TestClient, machine: str) -> None:
    answer = client.post(f"machines/{machine}/join", json=JOIN | AGENT | {"token": "used"})
    assert answer.status_code == 409
    assert "code" not in answer.json()


@pytest.mark.parametrize(
    "wrong",
    [{"runtime": "x"}, {"python": "3"}, {"agent_version": ""}, {"api": "1"}, {"wait_s": -1}, {"other": 1}],
)
def test_what_is_no_heartbeat_is_refused(client: TestClient, machine: str, wrong: dict[str, Any]) -> None:
    assert client.post(f"machines/{machine}/heartbeat", json=AGENT | wrong).status_code == 422


def test_a_heartbeat_answers_at_once_where_the_agent_knows_less(client: TestClient, machine: str) -> None:
    begin = time.monotonic()
    pulse = client.post(f"machines/{machine}/heartbeat", json=AGENT | {"wait_s": 10}).json()
    assert pulse["availability"] == "joining"
    stale = client.post(f"machines/{machine}/heartbeat", json=AGENT | {"wait_s": 10, "known": "stale"}).json()
    assert stale["version"] == pulse["version"]
    assert time.monotonic() - begin < 2


def test_a_heartbeat_waits_until_the_machine_changes(client: TestClient, machine: str, lenders) -> None:
    known = client.post(f"machines/{machine}/heartbeat", json=AGENT).json()["version"]
    timer = threading.Timer(0.5, lambda: registry.resize(lenders.anna, machine, core_count=2))
    begin = time.monotonic()
    timer.start()
    body = AGENT | {"wait_s": 8, "known": known}
    pulse = client.post(f"machines/{machine}/heartbeat", json=body).json()
    assert 0.5 <= time.monotonic() - begin < 3
    assert pulse["core_count"] == 2
    assert pulse["version"] != known


def test_a_heartbeat_without_news_ends_in_time_and_says_the_same(client: TestClient, machine: str) -> None:
    known = client.post(f"machines/{machine}/heartbeat", json=AGENT).json()["version"]
    begin = time.monotonic()
    pulse = client.post(f"machines/{machine}/heartbeat", json=AGENT | {"wait_s": 1, "known": known}).json()
    assert 1 <= time.monotonic() - begin < 3
    assert pulse["version"] == known


def test_a_heartbeat_holds_no_connection_while_it_waits(
    client: TestClient, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with an Idempotency-Key, which holds one for as long as a request runs."""
    held: list[int] = []

    async def change(*_: Any) -> None:
        with database.transaction() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
            held.append(cursor.fetchone()[0])

    monkeypatch.setattr(waiting.WaitingRoom, "change", change)
    known = client.post(f"machines/{machine}/heartbeat", json=AGENT).json()["version"]
    body = AGENT | {"wait_s": 1, "known": known}
    client.post(f"machines/{machine}/heartbeat", json=body, headers={"Idempotency-Key": "k"})
    assert held == [0]


def test_a_market_that_was_upgraded_drains_the_machine_and_tells_why(
    client: TestClient, machine: str, lenders, told
) -> None:
    lenders.world.sql("UPDATE machine SET state = 'active' WHERE machine_id = %s", machine)
    assert client.post(f"machines/{machine}/heartbeat", json=AGENT).json()["availability"] == "active"
    told(runtime="c" * 64)
    pulse = client.post(f"machines/{machine}/heartbeat", json=AGENT).json()
    assert pulse["availability"] == "draining"
    assert "of another release than the market's: stop the agent, update it" in pulse["reason"]
    assert not lenders.row(machine).drain_now, "what runs there may end"
    began = lenders.row(machine).drain_ms
    assert client.post(f"machines/{machine}/heartbeat", json=AGENT).json() | {"remaining_s": 0} == pulse | {
        "remaining_s": 0
    }
    assert lenders.row(machine).drain_ms == began


def test_a_machine_that_rests_with_another_release_leaves(client: TestClient, machine: str, lenders) -> None:
    lenders.world.sql("UPDATE machine SET state = 'resting' WHERE machine_id = %s", machine)
    assert client.post(f"machines/{machine}/heartbeat", json=OTHER).json()["availability"] == "left"


def test_another_s_machine_is_not_there_for_agents_either(client: TestClient, machine: str, lenders) -> None:
    app: Any = client.app
    app.dependency_overrides[caller.current] = lambda: lenders.bert
    for body in (AGENT, OTHER):
        assert client.post(f"machines/{machine}/heartbeat", json=body).status_code == 404
    join = JOIN | AGENT | {"token": "guessed"}
    assert client.post(f"machines/{machine}/join", json=join).status_code == 404
    assert client.delete(f"machines/{machine}").status_code == 404
    assert lenders.row(machine).state == "joining"


def test_the_way_by_hand_goes_on(people: TestClient, lenders) -> None:
    registered = people.post("machines", json=BODY).json()
    path = f"machines/{registered['machine_id']}"
    assert people.post(f"{path}/join", json={"token": registered["join"]["token"]}).status_code == 200
    assert people.post(f"{path}/resume").status_code == 200
    with pytest.raises(ConflictError):
        registry.join(lenders.anna, registered["machine_id"], registered["join"]["token"])


def test_each_interface_has_a_document_of_its_own(client: TestClient, people: TestClient) -> None:
    agents, paths = (one.get("openapi.json").json()["paths"] for one in (client, people))
    assert all(path.startswith("/market/agent/v1/") for path in agents)
    assert all(path.startswith("/market/api/v1/") for path in paths)
    beat = agents["/market/agent/v1/machines/{machine_id}/heartbeat"]["post"]
    assert "Idempotency-Key" not in [parameter["name"] for parameter in beat["parameters"]]
    assert paths["/market/api/v1/machines/{machine_id}/join"]["post"]["deprecated"]
    assert "deprecated" not in paths["/market/api/v1/machines"]["post"]


def test_only_members_speak_as_agents(told) -> None:
    anonymous = TestClient(create_agent_app(), base_url="http://market/v1")
    for path in ("handshake", "machines", f"machines/{'0' * 32}/heartbeat"):
        assert anonymous.post(path, json={}).status_code == 401
    assert anonymous.get("hadoop").status_code == 401
