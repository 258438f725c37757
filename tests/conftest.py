"""Every test belongs to one group: that of its mark, else `unit`. The stack is started once for all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import whole_stack
from airflow_server import Airflow, airflow_server

from market.cluster import tickets
from market.kit import settings

pytest_plugins = ["ledger_fixtures", "fake_cluster", "airflow_accounts", "set_clock"]
GROUPS = {"database", "cluster", "browser", "containers"}
# Airflow makes its home when it is imported: not in the home of whoever runs the tests, and one for each run
# of them, of which there may be two at once.
_airflow_home = tempfile.TemporaryDirectory(prefix="test-airflow-", dir=settings.ROOT / ".market")
os.environ["AIRFLOW_HOME"] = _airflow_home.name
# What needs no stack must not meet one by chance: neither the clone's own nor that of tests that run beside.
_nowhere = tempfile.TemporaryDirectory(prefix="test-nowhere-")
if "MARKET_STATE_DIR" not in os.environ:
    _ports = Path(_nowhere.name) / "run" / "ports.json"
    _ports.parent.mkdir()
    _ports.write_text(
        json.dumps(dict.fromkeys(settings.load().preferred_ports, 1))
    )  # nobody listens on port 1
    # What the market proves itself by to servers that are not there.
    (Path(_nowhere.name) / "secrets").mkdir()
    (Path(_nowhere.name) / "secrets" / tickets.SECRET).write_text(tickets.generate())
    os.environ["MARKET_STATE_DIR"] = _nowhere.name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not GROUPS & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.unit)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """Run Airflow's api-server with the market's plugin, on a PostgreSQL of its own."""
    with airflow_server(tmp_path_factory.mktemp("airflow")) as running:
        yield running


@pytest.fixture(scope="session")
def stack() -> Iterator[settings.Settings]:
    """Serve the whole stack, new and empty, and stop it in the end.

    With MARKET_TEST_STACK naming the state folder of a running stack, that one is used and left running.
    """
    given = os.environ.get("MARKET_TEST_STACK")
    if given:
        yield whole_stack.use(Path(given).absolute())
        return
    try:
        whole_stack.start()
        yield whole_stack.use()
    finally:
        whole_stack.stop()
