"""From the answer to `POST /jobs/{id}/cancel` to the ResourceManager's word KILLED (goal: p95 <= 1 s).

`.market/airflow-env/bin/python bench/cancel.py [--samples 20]` on a running stack with a lent machine, as
`./market demo` leaves it. Each job is cancelled when its driver runs. The time of the cancel request itself
is printed beside it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import clone  # noqa: F401

# isort: split

from support import lent, p95, person, verdict, wait

from market.cluster.clients import resource_manager
from market.kit import settings

PROGRAM = """
import time
from pyspark.sql import SparkSession
SparkSession.builder.getOrCreate().range(10).count()
time.sleep(600)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--type", default="cpu", help="of the lent machine")
    chosen = parser.parse_args()
    someone, yarn = person(settings.load(), PROGRAM), resource_manager()
    lent(someone, chosen.type)
    body = {"root_path": "bench", "core_num": 1, "machine_type": chosen.type, "max_credits": "0.010000"}
    answers, kills = [], []
    for number in range(chosen.samples):
        job_id = str(someone.post("/jobs", body)["job_id"])
        wait(lambda job=job_id: someone.get(f"/jobs/{job}")["status"] == "running", "the driver")
        began = time.monotonic()
        someone.post(f"/jobs/{job_id}/cancel")
        answered = time.monotonic()
        wait(
            lambda job=job_id: [app.state for app in yarn.apps(tags=[job])] == ["KILLED"],
            "the end at YARN",
            pause_s=0.02,
        )
        answers.append(answered - began)
        kills.append(time.monotonic() - answered)
        print(f"\r{number + 1} of {chosen.samples} samples", end="", file=sys.stderr)
    print(f"\n{'':20} p50 s  p95 s")
    for name, times in (("answer", answers), ("KILLED after it", kills)):
        said = verdict(p95(times), most=1) if times is kills else ""
        print(f"{name:20} {statistics.median(times):5.2f}  {p95(times):5.2f}  {said}")


if __name__ == "__main__":
    main()
