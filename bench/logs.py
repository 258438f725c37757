"""How long it takes to see the log of a finished job over REST, beside YARN's own `yarn logs`.

`.market/airflow-env/bin/python bench/logs.py [--samples 100]` on a running stack with a lent
machine. Interleaved, in one run: the list of files, the first 64 KiB of the driver's output, its last 64 KiB
(goal: p95 <= 100 ms each) and all of it; and, three times, `yarn logs` for the same container, which starts a
Java machine for each call.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import clone  # noqa: F401

# isort: split

from support import lent, p95, person, verdict, wait

from distributedmarket.client import MarketClient
from market.kit import settings

_KIB = 1024
_SMALL = ("list of files", "first 64 KiB", "last 64 KiB")  # what the goal is for
_GOAL_MS = 100
PROGRAM = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("rows", spark.range(1000).count())
for number in range(20000):
    print("%08d" % number, "y" * 91)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--type", default="cpu", help="machine type to run on")
    chosen = parser.parse_args()
    loaded = settings.load()
    someone = person(loaded, PROGRAM)
    lent(someone, chosen.type)
    job = _finished_job(someone, chosen.type)
    base = f"/jobs/{job['job_id']}/logs"
    file = next(
        one
        for one in wait(lambda: someone.get(base)["files"], "the logs")
        if (one["role"], one["file"]) == ("driver", "stdout")
    )
    path = f"{base}/{file['container_id']}/stdout"
    asked: dict[str, Callable[[], Any]] = {
        _SMALL[0]: lambda: someone.get(base),
        _SMALL[1]: lambda: someone.text(path, length=64 * _KIB),
        _SMALL[2]: lambda: someone.text(path, tail=64 * _KIB),
        f"all {file['size'] // _KIB} KiB": lambda: someone.text(path),
    }
    times: dict[str, list[float]] = {name: [] for name in [*asked, "yarn logs"]}
    for number in range(chosen.samples):
        for name, ask in asked.items():
            times[name].append(_timed(ask))
        if number % max(1, chosen.samples // 3) == 0:
            times["yarn logs"].append(_timed(lambda: _yarn_logs(loaded, job, file["container_id"])))
        print(f"\r{number + 1} of {chosen.samples} samples", end="", file=sys.stderr)
    print(f"\n{'':16}      n  p50 ms  p95 ms")
    for name, taken in times.items():
        slowest_ms = p95(taken) * 1000
        said = verdict(slowest_ms, most=_GOAL_MS) if name in _SMALL else ""
        print(f"{name:16}  {len(taken):5}  {statistics.median(taken) * 1000:6.0f}  {slowest_ms:6.0f}  {said}")


def _timed(ask: Callable[[], Any]) -> float:
    began = time.monotonic()
    ask()
    return time.monotonic() - began


def _finished_job(someone: MarketClient, machine_type: str) -> dict[str, Any]:
    body = {"root_path": "bench", "core_num": 1, "machine_type": machine_type, "max_duration": 300}
    job_id = someone.post("/jobs", body)["job_id"]

    def ended() -> dict[str, Any] | None:
        job: dict[str, Any] = someone.get(f"/jobs/{job_id}")
        return job if job["end_time"] else None

    job = wait(ended, "the end of the job")
    if job["status"] != "succeeded":
        raise SystemExit(f"the job {job_id} did not succeed: {job['reason']}")
    return dict(job)


def _yarn_logs(loaded: settings.Settings, job: dict[str, Any], container_id: str) -> None:
    path = f"{loaded.paths.hadoop_conf}:{loaded.paths.hadoop}/classes:{loaded.paths.hadoop}/jars/*"
    command = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", path]
    command += ["org.apache.hadoop.yarn.client.cli.LogsCLI", "-applicationId", job["application_id"]]
    command += ["-containerId", container_id, "-log_files", "stdout"]
    environment = os.environ | {"HADOOP_USER_NAME": loaded.service.account}
    subprocess.run(command, env=environment, check=True, capture_output=True)


if __name__ == "__main__":
    main()
