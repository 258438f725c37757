"""What a job used is measured once, after its end, and shown with a better size; bad figures are none."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from ledger_world import World

from distributedmarket.agent import usage
from market.cluster.container_logs import LogFile, Part
from market.cluster.errors import ClusterUnavailable
from market.cluster.event_log import Task
from market.jobs import store
from market.jobs.output import log_places, used
from market.jobs.output.used import Figures
from market.kit import database
from market.kit.clock import now_ms

pytestmark = pytest.mark.database

APPLICATION = "application_1_0001"
DRIVER, FIRST, SECOND = (f"container_1_0001_01_{number:06}" for number in (1, 2, 3))


@dataclass
class Logs:
    """A log server with the files of containers' figures, and an event log."""

    figures: dict[str, bytes] = field(default_factory=dict)
    tasks: list[Task] | None = field(default_factory=list)
    away: bool = False

    def log_files(self, application_id: str) -> dict[str, tuple[str, list[LogFile]]]:
        if self.away:
            raise ClusterUnavailable("the log server does not answer")
        assert application_id == APPLICATION
        files = {name: [LogFile(log_places.USAGE, len(text))] for name, text in self.figures.items()}
        return {name: ("n:1", listed) for name, listed in (files | {"container_x": []}).items()}

    def log(self, container_id: str, file: str, offset: int, length: int | None) -> Part | None:
        assert (file, offset) == (log_places.USAGE, 0)
        text = self.figures[container_id]
        return Part(len(text), iter([text[:length]]))


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Logs:
    made = Logs()
    for module in (used, log_places):
        monkeypatch.setattr(module, "job_history", lambda: made)
    monkeypatch.setattr(used, "hdfs", lambda: None)
    monkeypatch.setattr(used.event_log, "tasks", lambda *_: made.tasks)
    return made


def told(cpu_s: object, peak: object) -> bytes:
    return json.dumps({"cpu_s": cpu_s, "peak_memory_mib": peak}).encode()


def ended(world: World, **columns: Any) -> str:
    """Return a job that ran for 100 s with a driver and two executors, and whose logs are listed."""
    at = now_ms()
    job_id = world.job(world.member(), at=at - 200_000)
    application = columns.pop("application_id", APPLICATION)
    status = columns.pop("status", "succeeded")
    moments = {"ended_ms": at, "started_ms": at - 100_000}
    world.stand(job_id, status, application_id=application, **moments, **columns)
    world.sql("UPDATE job SET logs_ms = %s WHERE job_id = %s", at, job_id)
    number = application.removeprefix("application_")
    for place, role in enumerate(("driver", "executor", "executor"), 1):
        start = at - (100_000 if role == "driver" else 90_000)
        seen = world.container(job_id, None, start, at, role=role)
        world.sql(
            "UPDATE container_usage SET container_id = %s, application_id = %s WHERE container_id = %s",
            *(f"container_{number}_01_{place:06}", application, seen),
        )
    return job_id


def shown(job_id: str) -> dict[str, Any] | None:
    job = store.find(job_id)
    assert job is not None
    with database.transaction() as cursor:
        return used.shown(cursor, job)


def test_what_a_job_used_is_known_after_its_end_by_role(world: World, logs: Logs) -> None:
    logs.figures = {DRIVER: told(40.5, 612), FIRST: told(11, 480), SECOND: told(12.25, 500)}
    logs.tasks = [Task(1000, 9000), Task(1000, 7000)]
    job_id = ended(world)
    assert shown(job_id) is None
    used.collect()
    found = shown(job_id)
    assert found is not None
    assert found["driver"] | {"ms": 0} == {
        **{"containers": 1, "not_measured": 0, "held_core_s": 100.0, "cpu_s": 40.5},
        **{"memory_mib": 1024, "peak_memory_mib": 612, "ms": 0},
    }
    assert found["executors"] | {"ms": 0} == {
        **{"containers": 2, "not_measured": 0, "held_core_s": 180.0, "cpu_s": 23.2},
        **{"memory_mib": 1024, "peak_memory_mib": 500, "ms": 0, "busy_core_s": 14.0},
    }
    # One executor: 14 s of tasks where there were 8.
    assert found["advice"] is not None
    assert (found["advice"]["core_num"], found["advice"]["duration"]) == (1, 106_000)


def test_each_job_is_measured_once(world: World, logs: Logs) -> None:
    logs.figures = {DRIVER: told(1, 100)}
    job_id = ended(world)
    used.collect()
    logs.figures = {DRIVER: told(2, 200)}
    used.collect()
    found = shown(job_id)
    assert found is not None
    assert found["driver"]["cpu_s"] == 1


def test_nothing_is_measured_before_the_logs_are_there_and_the_meter_has_closed(
    world: World, logs: Logs
) -> None:
    job_id = ended(world)
    world.sql("UPDATE job SET logs_ms = NULL WHERE job_id = %s", job_id)
    used.collect()
    assert world.one("SELECT used_ms FROM job WHERE job_id = %s", job_id) is None
    world.sql("UPDATE job SET logs_ms = ended_ms WHERE job_id = %s", job_id)
    world.sql("UPDATE container_usage SET end_ms = NULL, end_kind = NULL WHERE role = 'driver'")
    used.collect()
    assert world.one("SELECT used_ms FROM job WHERE job_id = %s", job_id) is None
    world.sql("UPDATE job SET ended_ms = ended_ms - 1000000 WHERE job_id = %s", job_id)
    used.collect()
    assert world.one("SELECT used_ms FROM job WHERE job_id = %s", job_id) is not None


def test_what_no_machine_told_is_not_known(world: World, logs: Logs) -> None:
    logs.figures = {FIRST: told(11, 480)}
    logs.tasks = None
    found = shown_after(world, logs)
    assert (found["driver"]["not_measured"], found["driver"]["cpu_s"]) == (1, None)
    assert found["driver"]["peak_memory_mib"] is None
    assert (found["executors"]["not_measured"], found["executors"]["cpu_s"]) == (1, 11)
    assert found["executors"]["busy_core_s"] is found["advice"] is None


def shown_after(world: World, logs: Logs, **columns: Any) -> dict[str, Any]:
    job_id = ended(world, **columns)
    used.collect()
    found = shown(job_id)
    assert found is not None
    return found


def test_a_job_that_lacked_memory_is_told_to_ask_for_more(world: World, logs: Logs) -> None:
    logs.figures = {DRIVER: told(4, 1020)}
    reason = "The driver needed more memory than it had: ask for more driver_memory."
    found = shown_after(world, logs, status="failed", reason_code="out_of_memory", reason=reason)
    assert "1020 of its 1024 MiB" in found["advice"]["sentence"]
    assert found["advice"]["cost"] is None


def test_a_job_without_containers_has_used_nothing(world: World, logs: Logs) -> None:
    job_id = ended(world)
    world.sql("DELETE FROM container_usage")
    used.collect()
    assert shown(job_id) is None
    assert world.one("SELECT used_ms FROM job WHERE job_id = %s", job_id) is not None


def test_one_bad_job_stops_no_other(world: World, logs: Logs) -> None:
    bad, good = ended(world, application_id="application_1_0002"), ended(world)
    logs.figures = {DRIVER: told(1, 100)}
    used.collect()  # of the bad one the log server is asked for another application
    assert shown(bad) is None
    assert shown(good) is not None


def test_a_log_server_that_is_away_is_asked_again(world: World, logs: Logs) -> None:
    job_id = ended(world)
    logs.away = True
    with pytest.raises(ClusterUnavailable):
        used.collect()
    logs.away = False
    world.sql("DELETE FROM setback")
    used.collect()
    assert shown(job_id) is not None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[" * 4000,
        b"[1, 2]",
        b"null",
        told("1", 5),
        told(1, 5.5),
        told(True, 5),
        told(1, True),
        told(-1, 5),
        told(1, -5),
        told(float("nan"), 5),
        told(float("inf"), 5),
        told(1e300, 5),
        told(10**400, 5),
        told(1, 10**30),
        b'{"cpu_s": 1}',
    ],
)
def test_figures_of_another_form_are_none(text: bytes) -> None:
    assert used.parsed(text) is None


def test_figures_are_read_as_the_machines_write_them() -> None:
    assert used.parsed(b'{"cpu_s": 1.75, "peak_memory_mib": 216}      \n') == Figures(1.75, 216)
    assert log_places.USAGE == usage.FILE
    assert log_places.USAGE in log_places.HIDDEN
