"""The figures at their address in Airflow's api-server, where Prometheus asks for them."""

from __future__ import annotations

import pytest
import requests
from airflow_accounts import Person
from airflow_server import Airflow

from market.kit.settings import METRICS_TOKEN

pytestmark = pytest.mark.database


def test_the_address_takes_the_token_of_the_metrics_and_no_other(api_server: Airflow, admin: Person) -> None:
    address = f"{api_server.url}/market/metrics"
    assert requests.get(address, timeout=30).status_code == 401
    logged_in = admin.ask("GET", address)
    assert logged_in.status_code == 401
    token = api_server.settings.secret(METRICS_TOKEN)
    answer = requests.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "market_database_connections" in answer.text
