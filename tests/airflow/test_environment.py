"""The task that fetches a job's packages: once for all who want the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from ledger_world import World

from market.airflow import environment
from market.airflow.environment import EnvironmentTrigger, MarketEnvironment
from market.cluster.errors import ClusterUnavailable, HdfsOverQuota
from market.hadoop.paths import JobFolder
from market.jobs import store
from market.jobs.life import status
from market.jobs.submission import environment_build, environments
from market.kit import clock
from market.kit.errors import ConflictError

pytestmark = pytest.mark.database

LINES = ["probe==1.0"]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the environments that are there: by the first line that was asked for."""
    made: dict[str, str] = {}
    monkeypatch.setattr(environments, "_folder", lambda: tmp_path)
    monkeypatch.setattr(environments, "asked_name", lambda lines: f"{lines[0]}-name")
    monkeypatch.setattr(environments, "found", lambda lines: made.get(lines[0]))
    monkeypatch.setattr(environment.build_log, "write", lambda *_: None)
    return made


@pytest.fixture
def task(world: World, kept: dict[str, str]) -> Callable[[], MarketEnvironment]:
    """Return a function that submits a job and returns its task."""
    owner = world.member()

    def made() -> MarketEnvironment:
        job_id = world.job(owner, hold_ucr=1000, at=clock.now_ms())
        world.stand(job_id, "submitted")
        return MarketEnvironment(
            task_id="packages",
            job_id=job_id,
            username="alice",
            own_folder=JobFolder("/job"),
            requirements=LINES,
        )

    return made


def builds(monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> None:
    monkeypatch.setattr(environment.environment_build, "build", lambda *_: then())


class Others:
    """Tasks that have found another one building, and wait."""

    def __init__(self) -> None:
        self._waiting = threading.Semaphore(0)

    def wait(self) -> None:
        self._waiting.release()

    def await_them(self, number: int) -> None:
        for _ in range(number):
            assert self._waiting.acquire(timeout=60), "fewer wait than must"


def run(task: MarketEnvironment, others: Others | None = None) -> None:
    """Run a task to its end, as Airflow does: with its trigger in between."""
    context: Any = {"ti": SimpleNamespace(try_number=1, max_tries=10)}
    try:
        task.execute(context)
    except TaskDeferred as deferred:
        if others is not None:
            others.wait()
        while True:
            trigger = deferred.trigger
            assert isinstance(trigger, EnvironmentTrigger)
            made = EnvironmentTrigger(**trigger.serialize()[1])
            event = asyncio.run(anext(made.run()))  # type: ignore[arg-type]
            try:
                task.execute_complete(context, event.payload)
            except TaskDeferred as again:
                deferred = again
            else:
                return


def at_once(tasks: list[MarketEnvironment], others: Others) -> list[Exception]:
    """Run tasks side by side; return what they failed with."""
    failed: list[Exception] = []

    def one(task: MarketEnvironment) -> None:
        try:
            run(task, others)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=one, args=[task]) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failed


def test_of_twenty_that_want_the_same_one_builds(
    task: Callable[[], MarketEnvironment], kept: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built, others = [], Others()

    def build() -> None:
        built.append(LINES)
        others.await_them(19)
        kept[LINES[0]] = "/market/environments/x.tar"

    builds(monkeypatch, build)
    monkeypatch.setattr(environment, "_PAUSE_S", 0.05)
    assert at_once([task() for _ in range(20)], others) == []
    assert len(built) == 1


def test_those_who_wait_hear_why_it_failed_and_their_jobs_end_so(
    task: Callable[[], MarketEnvironment], monkeypatch: pytest.MonkeyPatch
) -> None:
    built, others = [], Others()

    def build() -> None:
        built.append(LINES)
        others.await_them(3)
        raise ConflictError("The packages cannot be had: error: no such package")

    builds(monkeypatch, build)
    monkeypatch.setattr(environment, "_PAUSE_S", 0.05)
    tasks = [task() for _ in range(4)]
    failed = at_once(tasks, others)
    assert len(failed) == 4
    assert all(isinstance(error, AirflowFailException) for error in failed)
    assert len(built) == 1
    for one in tasks:
        job = store.find(one.job_id)
        assert job is not None
        assert (job.status, job.reason_code) == ("failed", "user_error")
        assert "no such package" in job.reason


def test_a_job_that_is_stopped_meanwhile_builds_nothing(
    task: Callable[[], MarketEnvironment], monkeypatch: pytest.MonkeyPatch
) -> None:
    builds(monkeypatch, lambda: pytest.fail("built"))
    stopped = task()
    status.stop_job(stopped.job_id, "cancelled", "cancelled by alice", "alice")
    with pytest.raises(AirflowFailException):
        run(stopped)
    job = store.find(stopped.job_id)
    assert job is not None
    assert job.status == "cancelled"


def test_what_somebody_has_built_meanwhile_is_taken(
    task: Callable[[], MarketEnvironment], kept: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    builds(monkeypatch, lambda: pytest.fail("built"))
    kept[LINES[0]] = ""
    run(task())


def test_accidents_are_tried_again_and_no_room_is_not(
    task: Callable[[], MarketEnvironment], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(error: Exception) -> Callable[[], None]:
        def build() -> None:
            raise error

        return build

    one = task()
    builds(monkeypatch, refuse(ClusterUnavailable("away")))
    with pytest.raises(ClusterUnavailable):
        run(one)
    job = store.find(one.job_id)
    assert job is not None
    assert not job.ended
    without = environment_build.NoSandboxError("no bubblewrap")
    builds(monkeypatch, refuse(without))
    other = task()
    with pytest.raises(AirflowFailException, match="cannot fetch packages"):
        run(other)
    job = store.find(other.job_id)
    assert job is not None
    assert (job.status, job.reason_code) == ("failed", "pool_failure")
    builds(monkeypatch, refuse(HdfsOverQuota("full")))
    with pytest.raises(AirflowFailException, match="no room"):
        run(one)
    job = store.find(one.job_id)
    assert job is not None
    assert (job.status, job.reason_code) == ("failed", "pool_failure")
