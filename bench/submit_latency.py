"""From POST /jobs to the start of the job's first task in Airflow, with few and with many open jobs.

`.market/airflow-env/bin/python bench/submit_latency.py [--open 0,300,2000] [--samples 20]` on a running
stack; half an hour, a few minutes without the 2 000. Side by side, in one run: the market with no other open
job, and with many (goal: p50 <= 2 s, p95 <= 3 s, and flat). Open jobs ask for a machine type that nobody
lends, so that they wait without using the pool.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from datetime import datetime

import clone  # noqa: F401
import requests

# isort: split

import support

from distributedmarket.client import MarketClient
from market.kit import settings

_DEADLINE_S = 120
PROGRAM = "from pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate().range(1).count()\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", default="0,300,2000", help="numbers of open jobs to measure with")
    parser.add_argument("--samples", type=int, default=20)
    chosen = parser.parse_args()
    loaded = settings.load()
    admin = _airflow(loaded)
    people: list[tuple[MarketClient, list[str]]] = []
    waiting, first = 0, 0.0
    print("open jobs    p50 s    p95 s   of the first")
    try:
        for wanted in map(int, chosen.open.split(",")):
            while waiting < wanted:
                number = min(wanted - waiting, loaded.jobs.open_jobs_per_user - 1)
                people.append(_waiting_jobs(loaded, number))
                waiting += len(people[-1][1])
                print(f"\r{waiting} open jobs", end="", file=sys.stderr)
            _settled(people)
            times = _measure(loaded, admin, chosen.samples)
            first = first or statistics.median(times)
            print(f"\r{_row(wanted, times, first)}", flush=True)  # what follows takes long
    finally:
        for person, jobs in people:
            for job in jobs:
                person.post(f"/jobs/{job}/cancel")


def _row(wanted: int, times: list[float], first: float) -> str:
    middle, slowest = statistics.median(times), support.p95(times)
    goals = f"{support.verdict(middle, most=2)} {support.verdict(slowest, most=3)}"
    return f"{wanted:9}  {middle:7.2f}  {slowest:7.2f}  {middle / first:7.2f} x  p50, p95 {goals}"


def _submit(person: MarketClient) -> dict[str, object]:
    body = {"root_path": "bench", "core_num": 1, "machine_type": "gpu", "max_credits": "0.010000"}
    answer: dict[str, object] = person.post("/jobs", body)
    return answer


def _waiting_jobs(loaded: settings.Settings, number: int) -> tuple[MarketClient, list[str]]:
    person = support.person(loaded, PROGRAM)
    return person, [str(_submit(person)["job_id"]) for _ in range(number)]


def _settled(people: list[tuple[MarketClient, list[str]]]) -> None:
    """Wait until every open job has reached YARN: what is measured is many that wait, not many that come."""
    for person, jobs in people:
        for job in jobs:
            until = time.monotonic() + _DEADLINE_S  # they come in the order of their submission
            while person.get(f"/jobs/{job}")["status"] in ("submitted", "queued"):
                if time.monotonic() > until:
                    raise SystemExit(f"job {job} did not reach YARN")
                time.sleep(0.5)


def _measure(loaded: settings.Settings, admin: requests.Session, samples: int) -> list[float]:
    someone, times = support.person(loaded, PROGRAM), []
    moments = random.Random(1)
    for number in range(samples):
        time.sleep(moments.uniform(1, 4))  # else each would come right after a look of Airflow's
        started = time.time()
        job_id = str(_submit(someone)["job_id"])
        times.append(_first_task(loaded, admin, f"job_{job_id}") - started)
        someone.post(f"/jobs/{job_id}/cancel")
        print(f"\r{number + 1} of {samples} samples", end="", file=sys.stderr)
    return times


def _first_task(loaded: settings.Settings, admin: requests.Session, dag_id: str) -> float:
    """Return when the first task of a DAG started, in epoch seconds."""
    until = time.monotonic() + _DEADLINE_S
    while time.monotonic() < until:
        answer = admin.get(f"{loaded.url('api')}/api/v2/dags/{dag_id}/dagRuns/~/taskInstances", timeout=30)
        started = [one["start_date"] for one in answer.json().get("task_instances", []) if one["start_date"]]
        if started:
            return datetime.fromisoformat(min(started).replace("Z", "+00:00")).timestamp()
        time.sleep(0.1)
    raise SystemExit(f"{dag_id} did not start within {_DEADLINE_S} s")


def _airflow(loaded: settings.Settings) -> requests.Session:
    session = requests.Session()
    login = {"username": loaded.service.admin, "password": loaded.secret("admin_password")}
    token = session.post(f"{loaded.url('api')}/auth/token", json=login, timeout=30).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return session


if __name__ == "__main__":
    main()
