"""Packages that jobs ask for: built once, found in driver and executors, with the log and the reason."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from package_index import Index, index
from people import Person, until
from whole_stack import INDEX_PORT

pytestmark = pytest.mark.cluster

PROGRAM = """
import json
from pyspark.sql import SparkSession
import probe, numpy
spark = SparkSession.builder.getOrCreate()
there = spark.sparkContext.parallelize([1], 1).map(lambda _: __import__("probe").WORD).first()
print("FOUND " + json.dumps([probe.WORD, there]))
"""


@pytest.fixture(scope="module")
def packages() -> Iterator[Index]:
    with index(INDEX_PORT) as made:
        made.wheel("probe", "1.0", {"probe.py": "WORD = 'packed'\n"})
        yield made


def found(buyer: Person, job_id: str) -> Any:
    job = buyer.ended(job_id, 300)
    text = buyer.log(job_id)
    assert job["status"] == "succeeded", (job["reason"], text, buyer.log(job_id, "environment", "build.log"))
    return json.loads(
        next(line for line in text.splitlines() if line.startswith("FOUND ")).removeprefix("FOUND ")
    )


@pytest.mark.usefixtures("machines")
def test_jobs_share_the_packages_that_one_of_them_fetched(buyer: Person, packages: Index) -> None:
    for folder in ("packed", "listed"):
        buyer.put(f"{folder}/main.py", PROGRAM)
    buyer.put("listed/requirements.txt", "# for the test\nProbe == 1.0\npyspark\n")
    jobs: list[str] = []
    threads = [
        threading.Thread(target=lambda: jobs.append(buyer.submit("packed", requirements=["probe==1.0"])))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for job_id in jobs:
        assert found(buyer, job_id) == ["packed", "packed"]
    logs = [buyer.log(job_id, "environment", "build.log") for job_id in jobs]
    assert sum("+ probe==1.0" in text for text in logs) == 1
    before = len(packages.asked)
    later = buyer.submit("listed")
    assert buyer.job(later)["requirements"] == ["probe==1.0"]
    assert found(buyer, later) == ["packed", "packed"]
    assert len(packages.asked) == before, "the index is not asked again"


@pytest.mark.usefixtures("machines", "packages")
def test_packages_that_are_not_there_are_the_job_s_own_mistake(buyer: Person) -> None:
    buyer.put("packed/main.py", PROGRAM)
    job_id = buyer.submit("packed", requirements=["probe==9"])
    job = buyer.ended(job_id, 120)
    assert (job["status"], job["reason_code"]) == ("failed", "user_error")
    assert "No solution found" in job["reason"]
    assert "probe==9" in job["reason"]
    assert "No solution found" in until(
        lambda: buyer.log(job_id, "environment", "build.log"), "the log of the build", 20
    )
    assert buyer.receipt(job_id)["charge"] == "0.000000"
