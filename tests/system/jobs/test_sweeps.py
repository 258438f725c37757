"""A sweep on the real stack: one DAG, one application for each point, one hold, one receipt."""

from __future__ import annotations

import textwrap
import time
from typing import Any

import pytest
import requests
from people import Person, until

from market.cluster.clients import resource_manager
from market.cluster.resourcemanager import App
from market.kit import settings
from market.kit.money import parse_credits
from market.kit.vocabulary import ENDED

pytestmark = pytest.mark.cluster

PROGRAM = """
    import json, os, sys
    from pyspark.sql import SparkSession

    size, kind = float(sys.argv[1]), sys.argv[2]
    spark = SparkSession.builder.getOrCreate()
    print("point", os.environ["MARKET_POINT"], "of", os.environ["MARKET_JOB_ID"])
    if kind == "flaky":
        path = spark._jvm.org.apache.hadoop.fs.Path(os.environ["MARKET_INPUT"] + "/tried")
        if path.getFileSystem(spark._jsc.hadoopConfiguration()).createNewFile(path):
            spark.range(1).write.parquet(os.environ["MARKET_OUTPUT"])
            raise RuntimeError("only the first time")
    if kind == "broken":
        raise RuntimeError("every time")
    said = json.dumps({"score": size * spark.range(4).count(), "kind": kind})
    table = spark.createDataFrame([(said,)], ["value"]).coalesce(1)
    table.write.text(os.environ["MARKET_OUTPUT"] + "/metrics")
"""
GRID = {"size": [0.5], "kind": ["fine", "flaky", "broken"]}
FINE, FLAKY, BROKEN = 0, 1, 2


@pytest.fixture(scope="module")
def sweep(buyer: Person, machines: list[dict[str, Any]]) -> dict[str, Any]:
    """A sweep of three points, two at once, after its end; with the most applications seen at a time."""
    buyer.put("sweep/main.py", textwrap.dedent(PROGRAM).lstrip())
    asked = {"grid": GRID, "app_params": ["{size}", "{kind}"], "point_retries": 1, "max_parallel": 2}
    body = {"root_path": "sweep", "core_num": 1, "machine_type": "cpu", "max_duration": 600}
    alone = buyer.rest.post("/jobs?dry_run=true", body)["quote"]
    quoted = buyer.rest.post("/jobs?dry_run=true", body | asked)["quote"]
    job_id = buyer.submit("sweep", **asked)
    yarn, most = resource_manager(), 0
    deadline = time.monotonic() + 240
    while (job := buyer.job(job_id))["status"] not in ENDED:
        assert time.monotonic() < deadline, job
        most = max(most, sum(not app.ended for app in yarn.apps(tags=[job_id])))
        time.sleep(0.2)
    return job | {"most": most, "alone": alone, "quoted": quoted}


def points(buyer: Person, job_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = buyer.rest.get(f"/jobs/{job_id}/points")["points"]
    return found


def runs_of(apps: list[App], job_id: str) -> list[int]:
    """Return how many applications each of the three points has had."""
    return [sum(f"{job_id}-{point}" in app.tags for app in apps) for point in range(3)]


def test_each_point_runs_on_its_own_and_a_failed_one_again_alone(
    buyer: Person, sweep: dict[str, Any]
) -> None:
    assert (sweep["status"], sweep["reason_code"]) == ("failed", "points_failed"), sweep["reason"]
    found = points(buyer, sweep["job_id"])
    assert [point["status"] for point in found] == ["succeeded", "succeeded", "failed"], found
    assert "RuntimeError: every time" in found[BROKEN]["reason"]
    apps = resource_manager().apps(tags=[sweep["job_id"]])
    assert runs_of(apps, sweep["job_id"]) == [1, 2, 2]
    repeated = [sum(f"{sweep['job_id']}-{point}.2" in app.tags for app in apps) for point in range(3)]
    assert repeated == [0, 1, 1]
    assert 1 <= sweep["most"] <= 2


def test_the_table_shows_parameters_and_what_was_reported(buyer: Person, sweep: dict[str, Any]) -> None:
    reported = until(
        lambda: found if (found := points(buyer, sweep["job_id"]))[FLAKY]["metrics"] else None, "metrics", 30
    )
    assert [point["params"] for point in reported] == [
        {"kind": kind, "size": 0.5} for kind in ("fine", "flaky", "broken")
    ]
    assert [point["metrics"] for point in reported] == [
        {"score": 2.0, "kind": "fine"},
        {"score": 2.0, "kind": "flaky"},
        {},
    ]
    table = buyer.rest.text(f"/jobs/{sweep['job_id']}/points?format=csv").splitlines()
    assert table[0] == "point,kind,size,status,seconds,kind,score,reason"
    assert table[1].startswith("0,fine,0.5,succeeded,")
    files = [one["path"] for one in buyer.rest.get(f"/jobs/{sweep['job_id']}/results")["files"]]
    assert any(path.startswith("0/metrics/part-") for path in files)
    assert not any(path.startswith("1/part-") for path in files), "of the failed run nothing is left"


def test_each_run_has_its_logs(buyer: Person, sweep: dict[str, Any]) -> None:
    def said() -> list[tuple[int, str]]:
        files = buyer.rest.get(f"/jobs/{sweep['job_id']}/logs")["files"]
        drivers = [one for one in files if (one["role"], one["file"]) == ("driver", "stdout")]
        return [
            (
                one["point"],
                buyer.rest.text(f"/jobs/{sweep['job_id']}/logs/{one['container_id']}/stdout").splitlines()[0],
            )
            for one in drivers
        ]

    logs = until(lambda: found if len(found := said()) == 5 else None, "the logs of five drivers", 60)
    assert logs == [(point, f"point {point} of {sweep['job_id']}") for point in (0, 1, 1, 2, 2)]


def test_one_hold_for_all_and_one_receipt(buyer: Person, sweep: dict[str, Any]) -> None:
    rate = {name: parse_credits(sweep["quoted"][name]) for name in ("credits_per_hour", "hold")}
    one = {name: parse_credits(sweep["alone"][name]) for name in rate}
    # Each quote is rounded up once, to a micro-credit: three of one run, and two at a time.
    assert 0 <= 3 * one["hold"] - rate["hold"] < 3
    assert 0 <= 2 * one["credits_per_hour"] - rate["credits_per_hour"] < 2

    receipt = buyer.receipt(sweep["job_id"])
    lines = receipt["containers"]
    assert sum(parse_credits(line["amount"]) for line in lines) == parse_credits(receipt["charge"]) > 0
    drivers = [line["point"] for line in lines if line["role"] == "driver"]
    assert sorted(drivers) == [0, 1, 1, 2, 2]


def test_airflow_has_one_run_with_a_task_for_each_point(
    buyer: Person, stack: settings.Settings, sweep: dict[str, Any]
) -> None:
    base = f"{stack.url('api')}/api/v2/dags/{sweep['dag_id']}/dagRuns"

    def get(url: str) -> Any:
        answer: requests.Response = buyer.ask("GET", url)
        return answer.json()

    def ended() -> Any:
        runs = get(base)["dag_runs"]
        return runs if [run["state"] for run in runs] == ["failed"] else None

    run = until(ended, "the end of the DAG run", 30)[0]
    tasks = get(f"{base}/{run['dag_run_id']}/taskInstances")["task_instances"]
    assert {task["map_index"]: task["state"] for task in tasks} == {
        FINE: "success",
        FLAKY: "success",
        BROKEN: "failed",
    }
    # Airflow may try more often than a point is run: if its scheduler hears from the executor that a task has
    # deferred after it was queued to resume, it takes that for the death of the resumed one, which has the
    # same key (`process_executor_events`). How often a point is run is what the market promises: YARN tells.
    tries = {task["map_index"]: task["try_number"] for task in tasks}
    assert tries[FLAKY] >= 2
    assert tries[BROKEN] >= 2
    apps = resource_manager().apps(tags=[sweep["job_id"]])
    assert len(apps) == sum(runs_of(apps, sweep["job_id"])) == 5


def test_a_failed_point_is_submitted_again_alone(buyer: Person, sweep: dict[str, Any]) -> None:
    refused = buyer.send("POST", f"/jobs/{sweep['job_id']}/retry", json={"points": [7]})
    assert (refused.status_code, "points" in refused.json()["errors"]) == (422, True)
    again = str(buyer.rest.post(f"/jobs/{sweep['job_id']}/retry", {})["job_id"])
    assert [(point["point"], point["params"]["kind"]) for point in points(buyer, again)] == [
        (BROKEN, "broken")
    ]
    open_one = buyer.send("POST", f"/jobs/{again}/retry", json={})
    assert open_one.status_code == 409
    until(lambda: buyer.job(again)["status"] in ("accepted", "running"), "a run", 60)
    answer = buyer.send("POST", f"/jobs/{again}/cancel")
    assert answer.status_code == 202
    job = buyer.ended(again)
    assert job["status"] == "cancelled", job["reason"]
    assert [point["status"] for point in points(buyer, again)] == ["cancelled"]
    assert all(app.ended for app in resource_manager().apps(tags=[again]))


def test_another_s_points_are_as_if_they_were_not_there(stranger: Person, sweep: dict[str, Any]) -> None:
    assert stranger.send("GET", f"/jobs/{sweep['job_id']}/points").status_code == 404
    assert stranger.send("POST", f"/jobs/{sweep['job_id']}/retry", json={}).status_code == 404
