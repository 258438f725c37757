"""A server for the ledger's tests, and a market of its own for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import servers
from ledger_world import World, make_template


@pytest.fixture(scope="session")
def ledger_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Database]:
    with servers.database(tmp_path_factory.mktemp("postgres")) as served:
        make_template(served)
        yield served


@pytest.fixture
def world(ledger_server: servers.Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give a new market with nothing in it."""
    monkeypatch.setenv("MARKET_DATABASE_URL", ledger_server.url("market_app"))
    made = World(ledger_server)
    yield made
    made.close()
