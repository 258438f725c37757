"""What an agent is given by the market over HTTP, beside its registration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from market.kit import settings
from market.people.member import Member
from market.web.api import caller
from market.web.api.app import create_app
from market.web.api.routes import machines


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Ask as a member, a market whose installs lie in `tmp_path`."""
    loaded = settings.load()
    other = replace(loaded, paths=replace(loaded.paths, installs=tmp_path))
    monkeypatch.setattr(machines, "load", lambda: other)
    app = create_app()
    app.dependency_overrides = {caller.current: lambda: Member("0" * 32, "alice", "")}
    return TestClient(app, raise_server_exceptions=False)


def test_hadoop_s_jars_come_as_they_are_or_from_where_a_download_broke_off(
    client: TestClient, tmp_path: Path
) -> None:
    (tmp_path / "hadoop.zip").write_bytes(b"0123456789")
    whole = client.get("/api/v1/machines/hadoop", headers={"Accept-Encoding": "gzip"})
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert whole.headers["content-length"] == "10"
    assert whole.headers["content-type"] == "application/zip"
    rest = client.get("/api/v1/machines/hadoop", headers={"Range": "bytes=4-"})
    assert (rest.status_code, rest.content) == (206, b"456789")


def test_a_market_without_hadoop_s_archive_says_what_to_do(client: TestClient) -> None:
    answer = client.get("/api/v1/machines/hadoop")
    assert answer.status_code == 503
    assert "./market setup" in answer.json()["detail"]
