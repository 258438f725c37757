"""What the meter writes down, against the real ResourceManager's own totals."""

from __future__ import annotations

from typing import Any

import pytest
from people import Person, until

from market import clock, db
from market.cluster.clients import resource_manager
from market.credits import invariants
from market.credits.settlement import settle
from market.credits.units import parse_credits

pytestmark = pytest.mark.cluster

_SLEEPS = """
import time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.sparkContext.parallelize(range(4), 4).foreach(lambda _: time.sleep(3))
spark.stop()
"""


@pytest.fixture(scope="module")
def job(buyer: Person, machines: list[dict[str, Any]]) -> dict[str, Any]:
    """A job of some seconds, whose usage is final."""
    buyer.put("sleeps/main.py", _SLEEPS)
    job_id = buyer.submit("sleeps", core_num=2)
    found = buyer.ended(job_id)
    assert found["status"] == "succeeded", (found["reason"], buyer.log(job_id, file="stderr"))
    until(
        lambda: _rows("SELECT FROM application_usage WHERE final AND job_id = %s", job_id), "the totals", 30
    )
    return found


def _rows(statement: str, *values: object) -> list[Any]:
    with db.transaction() as cursor:
        cursor.execute(statement, values)
        rows: list[Any] = cursor.fetchall()
    return rows


def test_a_short_job_is_metered_as_the_resource_manager_counts_it(job: dict[str, Any]) -> None:
    containers = _rows("SELECT * FROM container_usage WHERE job_id = %s", job["job_id"])
    app = resource_manager().app(job["application_id"])

    assert app is not None
    assert sorted(one.role for one in containers) == ["driver", "executor", "executor"]
    assert all(one.machine_id is not None and one.end_kind == "finished" for one in containers)
    metered = sum(one.memory_mib * (one.end_ms - one.start_ms) for one in containers) / 1000
    assert metered <= app.memory_seconds + len(containers)
    assert metered >= 0.95 * app.memory_seconds  # two polls of 2 s at most, of a job of some 20 s


def test_it_is_charged_for_what_was_metered(buyer: Person, job: dict[str, Any]) -> None:
    settle(clock.now_ms())

    receipt = buyer.rest.get(f"/jobs/{job['job_id']}/receipt")
    statement = buyer.rest.get(f"/users/{buyer.user_id}/statement")["lines"]
    posted = -sum(parse_credits(line["amount"]) for line in statement if line["job_id"] == job["job_id"])
    assert receipt["final"] is True
    assert parse_credits(receipt["charge"]) == posted > 0
    assert posted == sum(parse_credits(line["amount"]) for line in receipt["containers"])
    with db.transaction() as cursor:
        assert invariants.check(cursor) + invariants.check_seals(cursor) == []
