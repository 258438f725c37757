"""How long it takes to list and to fetch what a running job has left, beside Hadoop's own command.

`.market/airflow-env/bin/python bench/results.py [--samples 5]` on a running, quiet stack with a lent machine.
Two jobs, which go on running, so that no list of theirs is stored yet: one has left 20 000 files in 200
folders, the other 1 000 small ones. In one run, in turns: `GET /jobs/{id}/results` of the first (goal: at
most 1 s) and `hdfs dfs -ls -R`; the zip of the second (goal: at most 10 s) and `hdfs dfs -get`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import clone  # noqa: F401

# isort: split

from support import lent, person, verdict, wait

from distributedmarket.client import MarketClient
from market.hadoop import kerberos, paths
from market.kit import settings

_WRITING_S = 900
# Its tasks write side by side; one row is one file. Version 2 of the committer renames each file once.
PROGRAM = """
import os, sys, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.config(
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version", "2").getOrCreate()
folders, files = int(sys.argv[1]), int(sys.argv[2])
rows = spark.range(0, folders * files, 1, 4).selectExpr(f"int(id / {files}) folder", "repeat(id, 20) text")
rows.write.option("maxRecordsPerFile", 1).partitionBy("folder").text(os.environ["MARKET_OUTPUT"])
print("written", flush=True)
time.sleep(3000)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--type", default="cpu", help="machine type to run on")
    chosen = parser.parse_args()
    loaded = settings.load()
    someone = person(loaded, PROGRAM)
    lent(someone, chosen.type)
    username = str(someone.get("/users/me")["username"])
    many = _left_by(someone, chosen.type, folders=200, files=100)
    few = _left_by(someone, chosen.type, folders=1, files=1000)
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        copy, packed = Path(scratch) / "copy", Path(scratch) / "results.zip"

        def fetch() -> None:
            shutil.rmtree(copy, ignore_errors=True)
            _hdfs(loaded, "-get", _output(username, few), str(copy))

        asked: dict[str, Callable[[], object]] = {
            "list of 20 000": lambda: someone.get(f"/jobs/{many}/results"),
            "hdfs dfs -ls -R": lambda: _hdfs(loaded, "-ls", "-R", _output(username, many)),
            "zip of 1 000": lambda: someone.download(f"/jobs/{few}/results", packed, format="zip"),
            "hdfs dfs -get": fetch,
        }
        for number in range(chosen.samples):
            for name, ask in asked.items():
                began = time.monotonic()
                ask()
                times.setdefault(name, []).append(time.monotonic() - began)
            print(f"\r{number + 1} of {chosen.samples} samples", end="", file=sys.stderr)
    for job_id in (many, few):
        someone.post(f"/jobs/{job_id}/cancel")
    print(f"\n{'':16}  p50 s  max s")
    for name, taken in times.items():
        said = {"list of 20 000": verdict(max(taken), most=1), "zip of 1 000": verdict(max(taken), most=10)}
        print(f"{name:16}  {statistics.median(taken):5.2f}  {max(taken):5.2f}  {said.get(name, '')}")
    for ours, theirs in (("list of 20 000", "hdfs dfs -ls -R"), ("zip of 1 000", "hdfs dfs -get")):
        ratio = statistics.median(times[ours]) / statistics.median(times[theirs])
        print(f"{ours}: {ratio:.2f} of the time of {theirs}")


def _left_by(someone: MarketClient, machine_type: str, folders: int, files: int) -> str:
    """Run the program until it has written all, and return its job's id."""
    body = {"root_path": "bench", "core_num": 1, "machine_type": machine_type, "max_duration": 3600}
    body["app_params"] = [str(folders), str(files)]
    job_id = str(someone.post("/jobs", body)["job_id"])
    base = f"/jobs/{job_id}/logs"

    def written() -> bool:
        job = someone.get(f"/jobs/{job_id}")
        if job["end_time"]:
            raise SystemExit(f"the job {job_id} has ended: {job['reason']}")
        drivers = [
            one for one in someone.get(base)["files"] if (one["role"], one["file"]) == ("driver", "stdout")
        ]
        return bool(drivers) and "written" in someone.text(f"{base}/{drivers[0]['container_id']}/stdout")

    wait(written, f"{folders * files} files", deadline_s=_WRITING_S)
    return job_id


def _output(username: str, job_id: str) -> str:
    return paths.output(paths.job_folder(username, job_id))


def _hdfs(loaded: settings.Settings, *words: str) -> None:
    path = f"{loaded.paths.hadoop_conf}:{loaded.paths.hadoop}/classes:{loaded.paths.hadoop}/jars/*"
    command = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", path]
    login = kerberos.login(loaded, kerberos.NAMENODE)
    subprocess.run(
        [*command, "org.apache.hadoop.fs.FsShell", *words],
        env=os.environ | login,
        check=True,
        capture_output=True,
    )


if __name__ == "__main__":
    main()
