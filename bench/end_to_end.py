"""From submission to result: the market against a raw `spark-submit`, tuned and untouched, on the same pool.

`.market/airflow-env/bin/python bench/end_to_end.py [--pairs 5] [--type gpu]` on a running, quiet stack. It
lends a machine of a type that nobody else lends, and runs the same small program (four Python tasks on two
executors of the same size) in turn three ways: as a job of the market (POST until the job is `succeeded`);
with `spark-submit` and the settings that are known to help; with `spark-submit` and none. The last two use
pyspark as shipped, wait as they do by default, and get neither the market's archives nor its submitter.
Each run begins when the machine is at rest: not while the one before it is put away (logs are collected,
400 MB of the untouched run reach the disk), which would be measured with its successor.
Goal: at most 0.55 times the tuned one, and 0.3 times the untouched one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import clone  # noqa: F401

# isort: split

import psutil
import raw_spark
from support import verdict

from distributedmarket.client import MarketClient
from market.kit import settings

_GOALS = {"tuned": 0.55, "untouched": 0.30}
_DEADLINE_S = 600
_REST_S, _QUIET_PERCENT = 120, 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--type", default="gpu", help="a machine type that nobody else lends")
    chosen = parser.parse_args()
    loaded = settings.load()
    times: dict[str, list[float]] = {"market": [], "tuned": [], "untouched": []}
    with raw_spark.on_a_lent_machine(loaded, chosen.type) as (person, raw):
        runs: dict[str, Callable[[], None]] = {
            "market": lambda: _job(person, chosen.type),
            "tuned": raw.tuned,
            "untouched": raw.untouched,
        }
        for number in range(chosen.pairs):
            for title, run in runs.items():
                _rest()
                started = time.monotonic()
                run()
                times[title].append(time.monotonic() - started)
                print(f"{number + 1}: {title} {times[title][-1]:.1f} s", file=sys.stderr)
    _report(times)


def _rest() -> None:
    """Wait until nothing is left to be written, and the processors have little to do."""
    os.sync()
    until = time.monotonic() + _REST_S
    while psutil.cpu_percent(interval=1) > _QUIET_PERCENT:
        if time.monotonic() > until:
            raise SystemExit("this machine has no rest: something else runs on it")


def _report(times: dict[str, list[float]]) -> None:
    ours = statistics.median(times["market"])
    print("\n             median s   the market's share   all")
    for title, taken in times.items():
        middle = statistics.median(taken)
        share = ours / middle
        goal = _GOALS.get(title)
        said = "" if goal is None else f"{share:.2f} {verdict(share, most=goal)}"
        print(f"{title:10}   {middle:8.1f}   {said:18}   {' '.join(f'{one:.1f}' for one in taken)}")


def _job(person: MarketClient, kind: str) -> None:
    body = {"root_path": "bench", "core_num": 2, "machine_type": kind, "max_credits": "0.500000"}
    job_id = person.post("/jobs", body)["job_id"]
    until = time.monotonic() + _DEADLINE_S
    while (job := person.get(f"/jobs/{job_id}"))["status"] != "succeeded":
        if job["end_time"] or time.monotonic() > until:
            raise SystemExit(f"the job is {job['status']}: {job['reason']}")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
