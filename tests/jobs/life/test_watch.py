"""The watch over jobs, with a stand-in for the ResourceManager that says what a test wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fake_cluster import Runs, Yarn
from ledger_world import World
from set_clock import Clock

from market.airflow import reconcile
from market.cluster.errors import ClusterUnavailable
from market.jobs import store
from market.jobs.life import budget, diagnosis, limits, watch
from market.kit import clock, clock_steps
from market.kit.errors import NotFoundError

pytestmark = pytest.mark.database

FAILED: dict[str, Any] = {
    "final_status": "FAILED",
    "diagnostics": "User application exited with status 1",
}


@pytest.fixture
def job(world: World) -> str:
    job_id = world.job(world.member(), at=clock.now_ms())
    world.stand(job_id, "queued")
    return job_id


def looked_until_ended(job_id: str) -> None:
    until = time.monotonic() + 20
    while job_id in watch.look():
        assert time.monotonic() < until
        time.sleep(0.02)


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
    yarn.has(job, "FINISHED", finished_ms=clock.now_ms(), **FAILED)
    for _ in range(3):
        assert watch.look() == {job}
    yarn.has(job, "FINISHED", finished_ms=clock.now_ms() - 60_000, **FAILED)
    looked_until_ended(job)
    assert status_of(job) == ("failed", "user_error")


def test_a_log_that_hangs_keeps_no_other_job_waiting(
    world: World, job: str, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def hangs(*_: Any) -> Any:
        assert go_on.wait(60)
        return 0, iter([b"Traceback (most recent call last):\nKeyError: 1\n"])

    monkeypatch.setattr(diagnosis.log_reader, "tail", hangs)
    others = [world.job(world.member(), at=clock.now_ms()) for _ in range(3)]
    late, done, dear = others
    yarn.has(job, "FINISHED", finished_ms=clock.now_ms(), **FAILED)
    for other in (late, dear):
        yarn.has(other, "RUNNING")
        world.stand(other, "running", started_ms=clock.now_ms())
    world.stand(late, "running", started_ms=clock.now_ms() - 3_601_000)
    world.container(dear, None, clock.now_ms() - 3_600_000, clock.now_ms(), vcores=6)
    yarn.has(done, "FINISHED", final_status="SUCCEEDED", finished_ms=clock.now_ms())
    began = time.monotonic()
    watch.look()
    assert time.monotonic() - began < 5
    assert status_of(late) == ("cancelling", "max_duration")
    assert status_of(dear) == ("cancelling", "credit_exhausted")
    assert status_of(done) == ("succeeded", None)
    assert status_of(job)[0] == "queued"
    monkeypatch.setattr(diagnosis, "_PATIENCE_S", 0.5)
    looked_until_ended(job)
    found = store.find(job)
    assert found is not None
    assert found.reason == "The program failed with exit code 1: its log says why.", "without what hangs"
    go_on.set()


def test_a_failed_program_s_error_is_the_reason(
    job: str, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = b"Traceback (most recent call last):\n  File 'main.py'\nKeyError: 'colour'\n"
    monkeypatch.setattr(diagnosis.log_reader, "tail", lambda *_: (0, iter([log[:9], log[9:]])))
    yarn.has(job, "FINISHED", finished_ms=clock.now_ms(), **FAILED)
    looked_until_ended(job)
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


def test_a_clock_that_jumps_ends_no_job(
    world: World, job: str, yarn: Yarn, set_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_steps.look()
    now = clock.now_ms()
    waits = world.job(world.member(), at=now)
    world.stand(waits, "submitted")
    world.sql("UPDATE run SET since_ms = %s WHERE job_id = %s", now, waits)
    yarn.has(job, "RUNNING")
    world.stand(job, "running", started_ms=now - 1_000_000)
    set_clock.forward(2 * 3_600_000)
    monkeypatch.setattr(limits, "now_ms", clock_steps.now_ms)
    world.container(job, None, now - 1_000_000, clock_steps.now_ms(), vcores=2)
    watch.look()
    assert (status_of(job)[0], status_of(waits)[0]) == ("running", "submitted")
    monkeypatch.setattr(limits, "now_ms", lambda: clock_steps.now_ms() + 3_601_000 - 1_000_000)
    watch.look()
    assert status_of(job) == ("cancelling", "max_duration"), "when its time is over all the same"


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


@pytest.fixture
def clock_s(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The monotonic clock of the limits."""
    at = [1000.0]
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: at[0]))
    yield at
    limits._over.clear()


def test_a_job_that_holds_more_than_was_quoted_is_stopped_after_five_seconds(
    job: str, yarn: Yarn, clock_s: list[float]
) -> None:
    yarn.has(job, "RUNNING", allocated_vcores=9, allocated_mib=99_999)
    for _ in range(20):
        watch.look()
    assert status_of(job)[0] == "running", "however many looks: an executor may be being replaced"
    clock_s[0] += 4.9
    watch.look()
    assert status_of(job)[0] == "running"
    clock_s[0] += 0.1
    watch.look()
    assert status_of(job) == ("cancelling", "over_size")


def test_two_moments_far_apart_are_not_all_the_time_between_them(
    job: str, yarn: Yarn, clock_s: list[float]
) -> None:
    yarn.has(job, "RUNNING", allocated_vcores=9, allocated_mib=99_999)
    watch.look()
    clock_s[0] += 60.0
    watch.look()
    assert status_of(job)[0] == "running", "nobody looked for a minute"
    yarn.has(job, "RUNNING", allocated_vcores=2, allocated_mib=1536)
    watch.look()
    yarn.has(job, "RUNNING", allocated_vcores=9, allocated_mib=99_999)
    clock_s[0] += 5.0
    watch.look()
    assert status_of(job)[0] == "running", "it had what was quoted in between"


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
    world: World, job: str, yarn: Yarn, airflow: Runs, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    given_up = world.job(world.member(), at=clock.now_ms())
    ran = world.job(world.member(), at=clock.now_ms())
    for one in (job, given_up, ran):
        world.stand(one, "queued", application_id=None)
        world.sql("UPDATE run SET since_ms = %s WHERE job_id = %s", clock.now_ms(), one)
    world.sql("""UPDATE job SET spec = spec || '{"max_wait": 86400}'""")
    reconcile.run_pass()
    assert {status_of(one)[0] for one in (job, given_up, ran)} == {"queued"}
    world.sql("UPDATE submission SET begun_ms = begun_ms - 3600000")
    airflow.over |= {given_up, ran}
    yarn.sums_up(ran, "FINISHED", final_status="SUCCEEDED", finished_ms=clock.now_ms() + 1000)
    reconcile.run_pass()
    assert status_of(job)[0] == "queued", "its task may still wait for an earlier submission"
    assert status_of(given_up) == ("failed", "pool_failure")
    reconcile.run_pass()
    assert status_of(ran) == ("succeeded", None), "its task did not live to say that it had submitted it"
    world.sql("UPDATE submission SET begun_ms = begun_ms - 3600000")
    reconcile.run_pass()
    assert status_of(job) == ("failed", "pool_failure")


def test_what_waits_for_a_machine_of_its_type_is_not_lost_however_long_it_waits(
    world: World, job: str, yarn: Yarn, airflow: Runs
) -> None:
    world.stand(job, "queued", application_id=None)
    world.sql("DELETE FROM submission; UPDATE run SET since_ms = since_ms - 1800000")
    reconcile.run_pass()
    assert status_of(job)[0] == "queued"
    airflow.over.add(job)  # nobody will submit it
    reconcile.run_pass()
    assert status_of(job) == ("failed", "pool_failure")
    assert not world.hold(job).open


def test_what_waits_too_long_for_a_machine_ends_at_once_and_costs_nothing(
    world: World, job: str, yarn: Yarn
) -> None:
    world.stand(job, "queued", application_id=None)
    world.sql("DELETE FROM submission; UPDATE run SET since_ms = since_ms - 3601000")
    assert watch.look() == set()
    assert status_of(job) == ("failed", "no_capacity")
    assert not world.hold(job).open
    assert world.balances(world.one("SELECT user_id FROM job")).available_ucr == 15_000_000


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


def test_one_run_that_cannot_be_moved_on_or_judged_stops_no_other(
    world: World, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (world.job(world.member(), at=clock.now_ms()) for _ in range(2))
    for job_id in (bad, good):
        world.stand(job_id, "queued")
        yarn.has(job_id, "RUNNING")
    containers, over = yarn.containers, budget.over
    with monkeypatch.context() as patch:
        patch.setattr(yarn, "containers", lambda app: containers(app) if good in app else 1 / 0)
        patch.setattr(budget, "over", lambda job, used: over(job, used) if job.job_id == good else 1 / 0)
        watch.look()
    assert [status_of(job_id)[0] for job_id in (bad, good)] == ["queued", "running"]
    assert {row.work for row in world.sql("SELECT * FROM setback WHERE subject = %s", bad)} == {
        "moving runs on",
        "limits of jobs",
    }
    world.sql("UPDATE setback SET next_ms = 0")
    watch.look()
    assert status_of(bad)[0] == "running"
