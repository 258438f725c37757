"""What an ended job used, as its page, its record, its receipt and the command line show it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from airflow_accounts import Person, sql
from airflow_server import Airflow

from distributedmarket.cli import text

pytestmark = pytest.mark.database

Register = Callable[..., Person]
STORED: dict[str, Any] = {
    "driver": {
        **{"containers": 1, "not_measured": 0, "held_core_s": 100.0, "cpu_s": 40.5},
        **{"memory_mib": 1024, "peak_memory_mib": 612, "ms": [100_000]},
    },
    "executor": {
        **{"containers": 2, "not_measured": 1, "held_core_s": 180.0, "cpu_s": None},
        **{"memory_mib": 1024, "peak_memory_mib": None, "ms": [90_000, 90_000]},
    },
    "work": None,
}
REASON = "The driver needed more memory than it had: ask for more driver_memory."


@pytest.fixture
def person(register: Register) -> Person:
    person = register("used")
    assert person.ask("PUT", "/files/sums/main.py", data=b"print(1)").status_code == 201
    return person


def test_it_is_shown_wherever_one_looks_and_to_its_owner_alone(
    api_server: Airflow, person: Person, register: Register
) -> None:
    body = {"root_path": "sums", "core_num": 2, "machine_type": "cpu", "max_duration": 540}
    job_id = person.ask("POST", "/jobs", json=body).json()["job_id"]
    assert person.ask("GET", f"/jobs/{job_id}").json()["used"] is None
    assert person.ask("GET", f"/jobs/{job_id}/receipt").json()["used"] is None
    assert "Was it worth it" not in page(api_server, person, job_id)

    assert person.ask("POST", f"/jobs/{job_id}/cancel").status_code == 202
    with sql(api_server) as cursor:
        cursor.execute(
            "UPDATE job SET status = 'failed', ended_ms = added_ms + 1, used = %s, used_ms = 1,"
            " reason_code = 'out_of_memory', reason = %s WHERE job_id = %s",
            [json.dumps(STORED), REASON, job_id],
        )
    record = person.ask("GET", f"/jobs/{job_id}").json()
    used = record["used"]
    assert used["driver"] == {name: value for name, value in STORED["driver"].items() if name != "ms"}
    assert used["executors"]["peak_memory_mib"] is used["executors"]["busy_core_s"] is None
    assert (used["advice"]["driver_memory"], used["advice"]["cost"]) == (1024, None)
    assert person.ask("GET", f"/jobs/{job_id}/receipt").json()["used"] == used
    assert register("other").ask("GET", f"/jobs/{job_id}/receipt").status_code == 404

    shown = page(api_server, person, job_id)
    assert "Was it worth it" in shown
    assert "Ask for driver_memory 1024 MiB instead of 512, twice as much" in shown
    assert "of 1 nothing is known" in shown

    assert text.used(used) == [
        ("driver used", "40 s of processor in 1 min 40 s of core time, at most 612 of 1024 MiB"),
        ("executors used", ""),
        ("advice", used["advice"]["sentence"]),
    ]
    assert text.used(None) == []
    # The record may be sent back as a request.
    assert person.ask("POST", "/jobs?dry_run=true", json=record).status_code == 200


def page(server: Airflow, person: Person, job_id: str) -> str:
    place = f"{server.url}/pluginsv2/market/jobs/{job_id}"
    answer = requests.get(place, cookies={"_token": person.token}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.text
