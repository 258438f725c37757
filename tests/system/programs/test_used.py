"""What a real job used is told after its end, and the size that is advised then does for what was said."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from people import Person, until

pytestmark = pytest.mark.cluster

# One task at a time: a second executor has nothing to do but wait.
ONE_BY_ONE = """
import time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print(spark.sparkContext.parallelize([1], 1).map(lambda one: time.sleep(30) or one).sum())
"""
KNOWN_S = 60
# Times the cost that was said. It may cost less: these machines share the cores of one host, and executors
# that run at a time slow each other down.
ABOVE = Decimal("1.1")


def ran(buyer: Person, **fields: Any) -> dict[str, Any]:
    """Run the program to its good end; return its job with what it used."""
    job_id = buyer.submit("used", **fields)
    job = buyer.ended(job_id)
    assert job["status"] == "succeeded", (job["reason"], buyer.log(job_id))
    return until(lambda: found if (found := buyer.job(job_id))["used"] else None, "its use", KNOWN_S)


def plausible(job: dict[str, Any], role: str, containers: int) -> None:
    used = job["used"][role]
    assert used["containers"] >= containers, used
    assert used["not_measured"] == 0, used
    # Java alone takes some seconds to start; what was held bounds it, but for threads on cores that are free.
    assert 1 < used["cpu_s"] < 4 * used["held_core_s"], used
    assert 100 < used["peak_memory_mib"] <= used["memory_mib"] + 64, used


def test_a_job_tells_what_it_used_and_does_with_what_it_is_advised(
    buyer: Person, machines: list[dict[str, Any]]
) -> None:
    buyer.put("used/main.py", ONE_BY_ONE)
    job = ran(buyer, core_num=2)
    plausible(job, "driver", 1)
    plausible(job, "executors", 2)
    assert 0 < job["used"]["executors"]["busy_core_s"] <= job["used"]["executors"]["held_core_s"]

    receipt = buyer.receipt(job["job_id"])
    advice = receipt["used"]["advice"]
    assert advice is not None, (receipt, job["used"])
    assert Decimal(advice["paid"]) == Decimal(receipt["charge"])
    assert Decimal(advice["cost"]) <= Decimal("0.9") * Decimal(receipt["charge"])
    assert advice["core_num"] == 1
    assert "With 1 core" in advice["sentence"]

    size = ("core_num", "executor_cores", "driver_memory", "executor_memory")
    again = ran(buyer, **{name: advice[name] for name in size})
    later = buyer.receipt(again["job_id"])
    at_the_same_rate = Decimal(later["charge"]) * Decimal(receipt["rate"]) / Decimal(later["rate"])
    assert at_the_same_rate <= ABOVE * Decimal(advice["cost"]), (advice, later)


def test_a_program_that_works_in_its_driver_alone_is_measured_too(
    buyer: Person, machines: list[dict[str, Any]]
) -> None:
    program = """
import time
held = bytearray(b"x" * (200 << 20))
until = time.process_time() + 6
while time.process_time() < until:
    pass
time.sleep(1.5)
print(len(held))
"""
    buyer.put("alone/main.py", program)
    job_id = buyer.submit("alone")
    assert buyer.ended(job_id)["status"] == "succeeded"
    job = until(lambda: found if (found := buyer.job(job_id))["used"] else None, "its use", KNOWN_S)
    assert job["used"]["driver"]["cpu_s"] >= 6
    assert job["used"]["driver"]["peak_memory_mib"] >= 200
