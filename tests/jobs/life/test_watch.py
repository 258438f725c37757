"""The watch over jobs, with a stand-in for the ResourceManager that says what a test wants."""

from __future__ import annotations

from typing import Any

import pytest
from fake_cluster import Runs, Yarn
from ledger_world import World

from market.airflow import reconcile
from market.cluster.errors import ClusterUnavailable
from market.jobs import store
from market.jobs.life import diagnosis, limits, watch
from market.kit import clock
from market.kit.errors import NotFoundError

pytestmark = pytest.mark.database


@pytest.fixture
def job(world: World) -> str:
    job_id = world.job(world.member(), at=clock.now_ms())
    world.stand(job_id, "queued")
    return job_id


def status_of(job_id: str) -> tuple[str, str | None]:
    found = store.find(job_id)
    assert found is not None
    return found.status, found.reason_code


def test_a_job_follows_its_application(job: str, yarn: Yarn) -> None:
    yarn.has(job, "ACCEPTED")
    assert watch.look() == {job}
    assert status_of(job) == ("accepted", None)
    yarn.has(job, "RUNNING", allocated_vcores=2, allocated_mib=1536)
    watch.look()
    assert status_of(job) == ("running", None)
    yarn.has(job, "FINISHED", final_status="SUCCEEDED", finished_ms=clock.now_ms())
    assert watch.look() == set()
    assert status_of(job) == ("succeeded", None)


def test_a_failed_program_s_log_is_waited_for_but_not_for_long(
    job: str, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handed_over(*_: Any) -> Any:
        raise NotFoundError("it is being collected")

    monkeypatch.setattr(diagnosis.log_reader, "tail", handed_over)
    said = {"final_status": "FAILED", "diagnostics": "User application exited with status 1"}
    yarn.has(job, "FINISHED", finished_ms=clock.now_ms(), **said)
    assert watch.look() == {job}
    yarn.has(job, "FINISHED", finished_ms=clock.now_ms() - 60_000, **said)
    assert watch.look() == set()
    assert status_of(job) == ("failed", "user_error")


def test_a_failed_program_s_error_is_the_reason(
    job: str, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = b"Traceback (most recent call last):\n  File 'main.py'\nKeyError: 'colour'\n"
    monkeypatch.setattr(diagnosis.log_reader, "tail", lambda *_: (0, iter([log[:9], log[9:]])))
    said = {"final_status": "FAILED", "diagnostics": "User application exited with status 1"}
    yarn.has(job, "FINISHED", finished_ms=clock.now_ms(), **said)
    assert watch.look() == set()
    found = store.find(job)
    assert found is not None
    assert found.reason == "The program failed with exit code 1: KeyError: 'colour'. Its log says where."


def test_what_is_to_be_stopped_is_killed_until_yarn_says_so(world: World, job: str, yarn: Yarn) -> None:
    yarn.has(job, "RUNNING")
    world.stand(job, "cancelling", reason_code="cancelled")
    watch.look()
    watch.look()
    assert yarn.killed == [f"application_{job}"] * 2
    yarn.has(job, "KILLED", finished_ms=clock.now_ms())
    watch.look()
    assert status_of(job) == ("cancelled", "cancelled")


def test_a_job_is_stopped_at_its_time(world: World, job: str, yarn: Yarn) -> None:
    yarn.has(job, "RUNNING")
    world.stand(job, "running", started_ms=clock.now_ms() - 3_601_000)
    watch.look()
    assert status_of(job) == ("cancelling", "max_duration")
    assert yarn.killed


def test_a_job_over_its_time_is_stopped_for_that_also_when_its_hold_is_used_up(
    world: World, job: str, yarn: Yarn
) -> None:
    yarn.has(job, "RUNNING")
    now = clock.now_ms()
    world.stand(job, "running", started_ms=now - 3_601_000)
    world.container(job, None, now - 3_601_000, now, vcores=5)
    watch.look()
    assert status_of(job) == ("cancelling", "max_duration")


def test_a_job_that_found_no_machine_ends_without_cost(world: World, job: str, yarn: Yarn) -> None:
    world.stand(job, "submitted")
    world.sql("UPDATE run SET since_ms = %s WHERE job_id = %s", clock.now_ms() - 3_601_000, job)
    watch.look()
    assert status_of(job) == ("failed", "no_capacity")
    assert world.one("SELECT sum(held_ucr) FROM account") == 0


def test_a_job_that_holds_more_than_was_quoted_is_stopped(job: str, yarn: Yarn) -> None:
    yarn.has(job, "RUNNING", allocated_vcores=9, allocated_mib=99_999)
    watch.look()
    assert status_of(job)[0] == "running", "once may be an executor that is being replaced"
    for _ in range(limits._LOOKS):
        watch.look()
    assert status_of(job) == ("cancelling", "over_size")


def test_a_job_is_stopped_when_its_hold_is_used_up(world: World, job: str, yarn: Yarn) -> None:
    yarn.has(job, "RUNNING")
    world.stand(job, "running", started_ms=clock.now_ms())
    now = clock.now_ms()
    world.container(job, None, now - 3_600_000, now, vcores=5)
    watch.look()
    assert status_of(job) == ("cancelling", "credit_exhausted")


def test_an_application_that_yarn_forgot_leaves_the_job_lost(job: str, yarn: Yarn) -> None:
    yarn.started_on = clock.now_ms()
    watch.look()
    assert status_of(job)[0] == "queued", "it may still be reading its store"
    yarn.started_on = 0
    watch.look()
    assert status_of(job) == ("lost", "pool_failure")


def test_an_application_of_an_ended_job_is_killed(world: World, job: str, yarn: Yarn) -> None:
    world.end_job(job, clock.now_ms())
    yarn.has(job, "RUNNING")
    yarn.has("ee" * 16, "RUNNING")
    watch.look()
    assert yarn.killed == [f"application_{job}"], "others' applications are not ours to kill"


def test_nothing_is_concluded_while_yarn_does_not_answer(job: str, yarn: Yarn) -> None:
    yarn.away = True
    with pytest.raises(ClusterUnavailable):
        watch.look()
    assert status_of(job)[0] == "queued"


def test_what_nobody_submits_any_more_is_closed(
    world: World, job: str, yarn: Yarn, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    world.stand(job, "queued", application_id=None)
    reconcile.run_pass()
    assert status_of(job)[0] == "queued"
    world.sql("UPDATE run SET since_ms = since_ms - 1800000")
    reconcile.run_pass()
    assert status_of(job) == ("failed", "pool_failure")


def test_files_of_ended_jobs_are_withdrawn_after_a_while(
    world: World, job: str, airflow: Runs, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))

    def withdrawn() -> bool:
        reconcile.withdraw()
        return bool(world.one("SELECT withdrawn FROM job WHERE job_id = %s", job))

    world.end_job(job, clock.now_ms())
    airflow.over.add(job)
    assert not withdrawn()
    world.sql("UPDATE job SET ended_ms = ended_ms - 3600000 WHERE job_id = %s", job)
    airflow.over.clear()
    assert not withdrawn(), "its run has not ended: without the file it never would"
    airflow.over.add(job)
    assert withdrawn()


def test_a_file_of_which_airflow_made_no_run_is_withdrawn_in_the_end(
    world: World, job: str, airflow: Runs, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    world.end_job(job, clock.now_ms() - 2 * 86_400_000)
    reconcile.withdraw()
    assert world.one("SELECT withdrawn FROM job WHERE job_id = %s", job)


def test_a_job_that_airflow_gave_up_before_its_task_began_is_closed(
    world: World, job: str, yarn: Yarn, airflow: Runs
) -> None:
    world.stand(job, "submitted")
    airflow.over.add(job)
    world.sql("UPDATE run SET since_ms = %s WHERE job_id = %s", clock.now_ms(), job)
    reconcile.run_pass()
    assert status_of(job)[0] == "submitted", "Airflow may be about to begin"
    world.sql("UPDATE run SET since_ms = since_ms - 600000 WHERE job_id = %s", job)
    airflow.over.clear()
    reconcile.run_pass()
    assert status_of(job)[0] == "submitted", "its run waits for a place"
    airflow.over.add(job)
    reconcile.run_pass()
    assert status_of(job) == ("failed", "pool_failure")
    assert world.one("SELECT held_ucr FROM account JOIN job USING (user_id) WHERE job_id = %s", job) == 0
