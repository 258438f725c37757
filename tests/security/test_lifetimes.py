"""A job may run for longer than its token would live if nobody renewed it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from people import Person

from market.kit import settings

pytestmark = pytest.mark.cluster
# It works in HDFS, in the driver and in an executor, until its token's first life is over, and once more.
PROGRAM = """
    import os, sys, time
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    until, rounds = time.monotonic() + float(sys.argv[1]), 0
    while True:
        folder = os.environ["MARKET_OUTPUT"] + "/" + str(rounds)
        spark.range(3).write.csv(folder)
        assert spark.read.csv(folder).count() == 3
        with open(os.environ["MARKET_RESULTS"] + "/last", "w") as file:
            file.write(str(rounds))
        rounds += 1
        if time.monotonic() > until:
            break
        time.sleep(5)
    print("ROUNDS", rounds)
"""


def test_a_job_outlives_its_token_s_first_life(
    stack: settings.Settings, buyer: Person, machines: list[dict[str, Any]], program: Callable[[str], str]
) -> None:
    life_s = stack.security.token_renewal_s
    assert life_s <= 120, "the tests' stack has short ones"
    buyer.put("longer/main.py", program(PROGRAM))
    job_id = buyer.submit("longer", app_params=[str(life_s + 20)], max_duration=1200)
    job = buyer.ended(job_id, deadline_s=480)
    assert job["status"] == "succeeded", (job, buyer.log(job_id, file="stderr")[-3000:])
    assert "ROUNDS" in buyer.log(job_id)
    assert job["duration"] > life_s * 1000
    assert [one for one in buyer.rest.get(f"/jobs/{job_id}/results")["files"] if one["path"] == "last"]
