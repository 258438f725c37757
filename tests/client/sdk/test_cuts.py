"""A connection that breaks at any point: what was asked for is done once, and what comes is whole."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow_accounts import Person, sql
from airflow_server import Airflow
from cutting_proxy import CuttingProxy, cutting_proxy

from distributedmarket import Market
from distributedmarket.client import MarketClient
from distributedmarket.client.retries import Retries

pytestmark = pytest.mark.database
CUTS = 50
SEED = 20261129
DATA = random.Random(SEED).randbytes(150_000)
# About as many bytes as each takes in both directions: a cut falls anywhere in it.
SUBMIT, MOVE = 2600, len(DATA) + 1500
QUICK = Retries(attempts=5, first_s=0.02)


def test_fifty_cuts_at_random_points_are_one_job_and_one_hold_for_each_submission(
    api_server: Airflow, register: Callable[..., Person], tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    person = register("ada")
    (tmp_path / "main.py").write_bytes(DATA)
    submitted: list[str] = []
    with cutting_proxy(api_server.url) as proxy:
        market = Market(client=MarketClient(proxy.url, person.token, retries=QUICK))
        turns = 0
        while proxy.cuts < CUTS:
            turns += 1
            assert turns < 6 * CUTS, f"only {proxy.cuts} cuts"
            _move(market, proxy, chance, tmp_path)
            proxy.arm(chance.randrange(SUBMIT))
            job = market.submit(root_path="work", core_num=1, machine_type="cpu", max_duration=60)
            proxy.disarm()
            submitted.append(job.id)
            job.cancel()  # so that there is room for the next one
    assert len(set(submitted)) == len(submitted)
    with sql(api_server) as cursor:
        cursor.execute("SELECT job_id FROM job WHERE user_id = %s", [person.user_id])
        assert {row[0] for row in cursor.fetchall()} == set(submitted)
        cursor.execute(
            "SELECT count(*) FROM hold JOIN job USING (job_id) WHERE job.user_id = %s", [person.user_id]
        )
        assert cursor.fetchone()[0] == len(submitted)
    assert person.ask("GET", f"/users/{person.user_id}/credits").json()["using_credit"] == "0.000000"


def _move(market: Market, proxy: CuttingProxy, chance: random.Random, folder: Path) -> None:
    """Send a file and fetch it again, with a cut in each."""
    proxy.arm(chance.randrange(MOVE))
    market.files.put(folder / "main.py", "work/main.py")
    proxy.arm(chance.randrange(MOVE))
    fetched = market.files.get("work/main.py", folder / "back")
    proxy.disarm()
    assert fetched.read_bytes() == DATA
