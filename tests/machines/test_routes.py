"""What an agent is given by the market over HTTP, beside its registration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from market.kit import settings
from market.people.member import Member
from market.web.api import caller
from market.web.api.app import create_agent_app, create_app
from market.web.api.routes import agents, machines


@pytest.fixture(params=[(machines, create_app, "/api/v1/machines"), (agents, create_agent_app, "/v1")])
def client(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Ask as a member, through either interface, a market whose installs lie in `tmp_path`."""
    routes, create, path = request.param
    loaded = settings.load()
    other = replace(loaded, paths=replace(loaded.paths, installs=tmp_path))
    monkeypatch.setattr(routes, "load", lambda: other)
    app = create()
    app.dependency_overrides = {caller.current: lambda: Member("0" * 32, "alice", "")}
    return TestClient(app, f"http://market{path}", raise_server_exceptions=False)


def test_hadoop_s_jars_come_as_they_are_or_from_where_a_download_broke_off(
    client: TestClient, tmp_path: Path
) -> None:
    (tmp_path / "hadoop.zip").write_bytes(b"0123456789")
    whole = client.get("hadoop", headers={"Accept-Encoding": "gzip"})
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert whole.headers["content-length"] == "10"
    assert whole.headers["content-type"] == "application/zip"
    rest = client.get("hadoop", headers={"Range": "bytes=4-"})
    assert (rest.status_code, rest.content) == (206, b"456789")


def test_a_market_without_hadoop_s_archive_says_what_to_do(client: TestClient) -> None:
    answer = client.get("hadoop")
    assert answer.status_code == 503
    assert "./market setup" in answer.json()["detail"]
