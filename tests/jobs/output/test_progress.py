"""How far a job is: what a driver says, and what it has cost, which no driver says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from ledger_world import MINUTE, RATE, T0, World
from servers import answering

from market.cluster.spark_ui import Progress, SparkUi
from market.cluster.tickets import Named
from market.credits.settlement import steps
from market.jobs import store
from market.jobs.output import progress

APPLICATION = "application_1_0001"
BASE = f"/proxy/{APPLICATION}/api/v1/applications/{APPLICATION}"


class Driver:
    """A program's own web server behind the ResourceManager's proxy: it may answer anything."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.url = ""

    def says(self, path: str, body: Any, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers[path] = (status, headers, raw)


@pytest.fixture
def driver() -> Iterator[Driver]:
    made = Driver()

    def answer(target: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        path = urlsplit(target).path
        made.asked.append((path, headers.get("Cookie")))
        return made.answers.get(path, (404, {}, b"nothing"))

    with answering(answer) as port:
        made.url = f"http://127.0.0.1:{port}"
        yield made


def test_tasks_stages_and_executors_of_a_driver(driver: Driver) -> None:
    driver.says(
        f"{BASE}/jobs",
        [
            {"numTasks": 30, "numCompletedTasks": 12, "numSkippedTasks": 0},
            {"numTasks": 20, "numCompletedTasks": 10, "numSkippedTasks": 10},
        ],
    )
    name = "sum at /home/lender/usercache/alice/container_1/main.py:10"
    stage = {"stageId": 4, "name": name, "status": "ACTIVE", "numTasks": 30, "numCompleteTasks": 12}
    driver.says(f"{BASE}/stages", [stage])
    driver.says(
        f"{BASE}/executors",
        [{"id": "driver", "isActive": True}, {"id": "1", "isActive": True}, {"id": "2", "isActive": False}],
    )
    found = SparkUi(driver.url, Named("market")).progress(APPLICATION)
    assert found is not None
    assert (found.tasks_done, found.tasks_total, found.executors) == (22, 40, 1)
    (shown,) = found.stages
    assert (shown.stage_id, shown.name, shown.status) == (4, "sum at main.py:10", "ACTIVE")
    assert (shown.tasks_done, shown.tasks_total) == (12, 30)


@pytest.mark.parametrize(
    "answer",
    [
        lambda driver: None,
        lambda driver: driver.says(f"{BASE}/jobs", b"<html>", 200),
        lambda driver: driver.says(f"{BASE}/jobs", {"numTasks": 1}),
        lambda driver: driver.says(f"{BASE}/jobs", b"[" * 100_000),
        lambda driver: driver.says(f"{BASE}/jobs", b"[" + b" " * (5 << 20) + b"]"),
        lambda driver: driver.says(f"{BASE}/jobs", [], 302, Location="/elsewhere"),
        lambda driver: driver.says(f"{BASE}/jobs", [], 500),
    ],
)
def test_a_driver_that_is_not_there_or_says_nonsense(
    driver: Driver, answer: Callable[[Driver], None]
) -> None:
    driver.says("/elsewhere", [])
    answer(driver)
    assert SparkUi(driver.url, Named("market")).progress(APPLICATION) is None
    assert "/elsewhere" not in [path for path, _ in driver.asked]


def test_a_forged_answer_is_numbers_at_most_and_leaves_no_cookie(driver: Driver) -> None:
    jobs = [{"numTasks": -5, "numCompletedTasks": "9", "numSkippedTasks": 1e300}, "x", None]
    driver.says(f"{BASE}/jobs", jobs, **{"Set-Cookie": "hadoop.auth=u=root; Path=/"})
    driver.says(f"{BASE}/stages", [{"stageId": True, "name": ["x"] * 1000, "status": {"a": 1}}] * 500)
    driver.says(f"{BASE}/executors", [{"id": None, "isActive": "yes"}])
    for _ in range(2):
        found = SparkUi(driver.url, Named("market")).progress(APPLICATION)
        assert found is not None
        assert (found.tasks_done, found.tasks_total, found.executors) == (0, 0, 0)
        assert len(found.stages) <= 50
        assert all(len(stage.name) <= 400 for stage in found.stages)
    assert driver.asked[3][1] is None  # the first request of the second time


@pytest.mark.database
def test_the_cost_of_a_running_job_includes_what_is_not_captured(
    world: World, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "spark_ui", lambda: SparkUi(driver.url, Named("market")))
    job_id = world.job(world.member())
    world.container(job_id, world.machine(None), T0, T0 + 30 * MINUTE, memory_mib=1024)
    found = progress.progress(_job(job_id))
    assert found["cost"] == "0.502000"  # half an hour of one core and one GiB
    assert found["cost_final"] is False
    assert (found["tasks_total"], found["stages"], found["updated_ms"]) == (0, [], None)


@pytest.mark.database
def test_when_the_driver_has_gone_what_it_said_last_stays(
    world: World, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "spark_ui", lambda: SparkUi(driver.url, Named("market")))
    job_id = world.job(world.member())
    world.stand(job_id, "running", application_id=APPLICATION)
    driver.says(f"{BASE}/jobs", [{"numTasks": 30, "numCompletedTasks": 30}])
    driver.says(f"{BASE}/executors", [{"id": "1", "isActive": True}])
    before = progress.progress(_job(job_id))
    assert (before["tasks_done"], before["executors"]) == (30, 1)
    driver.answers.clear()
    assert progress.progress(_job(job_id)) == before
    world.end_job(job_id, T0 + MINUTE)
    after = progress.progress(_job(job_id))
    assert (after["tasks_done"], after["tasks_total"], after["executors"]) == (30, 30, 0)


@pytest.mark.database
def test_the_measured_cost_stays_from_the_job_s_end_until_it_is_charged(
    world: World, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "spark_ui", lambda: SparkUi(driver.url, Named("market")))
    job_id = world.job(world.member())
    world.container(job_id, world.machine(None), T0, T0 + 30 * MINUTE, memory_mib=1024)
    world.end_job(job_id, T0 + 30 * MINUTE)
    world.mark(T0 + 60 * MINUTE)
    world.demand(T0, 4, 1)
    shown = []
    for _ in range(20):
        found, wire = progress.progress(_job(job_id)), store.to_wire(_job(job_id))
        shown.append((found["cost"], found["cost_final"]))
        assert (wire["cost"], wire["cost_final"]) == shown[-1]
        if found["cost_final"]:
            break
        steps.settle(T0 + 5 * MINUTE * len(shown))
    assert set(shown) == {("0.502000", False), ("0.502000", True)}
    assert wire["used_credit"] == "0.502000"


@pytest.mark.database
def test_the_cost_never_passes_the_hold(
    world: World, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "spark_ui", lambda: SparkUi(driver.url, Named("market")))
    job_id = world.job(world.member(), hold_ucr=RATE // 4)
    world.container(job_id, world.machine(None), T0, T0 + 30 * MINUTE)
    assert progress.progress(_job(job_id))["cost"] == "0.250000"


@pytest.mark.database
def test_of_an_ended_job_no_driver_is_asked(
    world: World, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "spark_ui", lambda: SparkUi(driver.url, Named("market")))
    job_id = world.job(world.member())
    world.end_job(job_id, T0 + MINUTE)
    found = progress.progress(_job(job_id))
    assert (found["status"], found["cost"]) == ("succeeded", "0.000000")
    assert driver.asked == []


def _job(job_id: str) -> store.Job:
    found = store.find(job_id)
    assert found is not None
    return found


@pytest.mark.database
@pytest.mark.parametrize(
    ("done", "total", "expected_s"), [(0, 10, None), (10, 10, None), (5, 10, 200), (1, 10**15, 3600)]
)
def test_the_end_is_estimated_from_the_tasks(
    world: World, done: int, total: int, expected_s: int | None
) -> None:
    job_id = world.job(world.member())
    world.stand(job_id, "running", started_ms=T0)
    job = store.find(job_id)
    assert job is not None
    found = progress._estimate(job, Progress(done, total, 1, ()), T0 + 100_000)
    assert found == (None if expected_s is None else T0 + expected_s * 1000)


class Clock:
    def __init__(self) -> None:
        self.at_s = 1000.0

    def monotonic(self) -> float:
        return self.at_s


class Drivers:
    """Drivers that take their time."""

    def __init__(self, clock: Clock, take_s: float, answers: Progress | None) -> None:
        self.clock, self.take_s, self.answers = clock, take_s, answers
        self.asked = 0

    def progress(self, application_id: str) -> Progress | None:
        self.asked += 1
        self.clock.at_s += self.take_s
        return self.answers


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    progress._slow.clear()
    yield made
    progress._slow.clear()


@pytest.mark.database
@pytest.mark.parametrize("answers", [None, Progress(1, 2, 0, ())], ids=["nothing", "a part"])
def test_a_driver_that_lets_a_question_wait_is_asked_later_and_later(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, answers: Progress | None
) -> None:
    """Each question holds a thread of the ResourceManager's proxy for as long as the program likes."""
    job = store.find(world.job(world.member()))
    assert job is not None
    drivers = Drivers(clock, 4.0, answers)
    monkeypatch.setattr(progress, "spark_ui", lambda: drivers)
    for _ in range(720):
        progress.progress(job)
        clock.at_s += 5
    assert drivers.asked <= 10
    drivers.take_s = 0.1  # it is quick to say that there is nothing yet
    clock.at_s += 3600
    before = drivers.asked
    for _ in range(5):
        progress.progress(job)
    assert drivers.asked == before + 5


@pytest.mark.database
def test_a_sweep_of_slow_points_is_not_waited_for_point_by_point(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = world.job(world.member())
    for point in range(1, 40):
        world.sql("INSERT INTO job_point (job_id, point, params) VALUES (%s, %s, '{}')", job_id, point)
        world.sql(
            "INSERT INTO run (job_id, point, attempt, tag, status, since_ms, application_id)"
            " VALUES (%s, %s, 1, %s, 'running', 0, %s)",
            *(job_id, point, f"{job_id}-{point}", f"application_1_{point}"),
        )
    drivers = Drivers(clock, 4.0, None)
    monkeypatch.setattr(progress, "spark_ui", lambda: drivers)
    job = store.find(job_id)
    assert job is not None
    progress.progress(job)
    assert drivers.asked == 2, "eight seconds, not three minutes"
