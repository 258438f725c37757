"""A request that finds the database busy is answered in words, and soon."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from ledger_world import World

from market.kit import database
from market.kit.patience import Patience
from market.web.api import problems

pytestmark = pytest.mark.database


def test_a_lock_that_is_not_free_in_time_is_a_503_that_says_try_again(world: World) -> None:
    app = FastAPI()
    problems.register(app)
    app.add_middleware(problems.Shield)

    @app.post("/change")
    def change() -> None:
        with database.transaction(Patience(statement_s=10, lock_s=1, idle_s=10)) as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(12)")

    with database.transaction() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(12)")
        answer = TestClient(app).post("/change")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert "Try again" in answer.json()["detail"]
