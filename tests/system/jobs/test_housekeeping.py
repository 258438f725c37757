"""What finished jobs leave in Airflow goes away in time; the market's own history stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
import requests
from people import Person, until

from market.airflow import reconcile, retention
from market.kit import clock, database, settings

pytestmark = pytest.mark.cluster

DAY_MS = 86_400_000


def test_the_dag_of_an_old_job_is_deleted_and_its_history_stays(
    stack: settings.Settings, buyer: Person, admin: requests.Session
) -> None:
    buyer.put("old/main.py", "print(1)\n")
    job_id = buyer.submit("old", machine_type="gpu")
    dag = f"{stack.url('api')}/api/v2/dags/job_{job_id}"
    until(lambda: admin.get(dag, timeout=30).status_code == 200, "the DAG", 30)
    buyer.send("POST", f"/jobs/{job_id}/cancel")
    buyer.ended(job_id, 90)

    def runs() -> Any:
        return admin.get(f"{dag}/dagRuns", timeout=30).json()["dag_runs"]

    until(lambda: [run["state"] for run in runs()] == ["failed"], "the end of the run", 60)
    with database.transaction() as cursor:
        cursor.execute("UPDATE job SET ended_ms = ended_ms - %s WHERE job_id = %s", [20 * DAY_MS, job_id])
    reconcile.withdraw()
    until(lambda: admin.get(dag, timeout=30).json()["is_stale"], "the file is gone", 120)
    retention.tidy()
    assert admin.get(dag, timeout=30).status_code == 404
    assert buyer.job(job_id)["status"] == "cancelled"
    assert buyer.rest.get(f"/jobs/{job_id}/receipt")["charge"] == "0.000000"


def test_old_runs_of_the_market_s_own_dags_are_deleted(
    stack: settings.Settings, admin: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = f"{stack.url('api')}/api/v2/dags/credit_settlement/dagRuns"
    run = admin.post(runs, json={"logical_date": None}, timeout=30).json()["dag_run_id"]
    look = f"{runs}/{quote(run, safe='')}"
    until(lambda: admin.get(look, timeout=30).json()["state"] in ("success", "failed"), "its end", 120)
    assert admin.get(look, timeout=30).json()["state"] == "success"
    with database.transaction() as cursor:
        cursor.execute("SELECT max(until_ms) AS sealed_ms FROM seal JOIN settlement USING (interval_id)")
        assert cursor.fetchone().sealed_ms <= clock.now_ms()
    young = replace(stack, jobs=replace(stack.jobs, run_retention_s=0))
    monkeypatch.setattr(retention.settings, "load", lambda: young)
    retention.tidy()
    assert admin.get(look, timeout=30).status_code == 404
