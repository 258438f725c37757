"""A sweep in the database: each point its own way, one end for all, a failed one again and alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_cluster import Runs, Yarn
from ledger_world import MINUTE, T0, World

from market.airflow import reconcile
from market.credits.receipt import receipt
from market.credits.settlement.steps import settle
from market.jobs import points, runs, store
from market.jobs.life import status, watch
from market.jobs.life.state import End
from market.jobs.spec import JobSpec
from market.kit import clock
from market.kit.database import transaction

pytestmark = pytest.mark.database

GOOD, BAD = End("succeeded", None, ""), End("failed", "user_error", "The program failed.")


@pytest.fixture
def sweep(world: World) -> str:
    return make(world)


def make(world: World, retries: int = 0, values: tuple[int, ...] = (1, 2, 3)) -> str:
    """Store a sweep as it is just after its submission."""
    job_id = world.job(world.member(), at=clock.now_ms())
    grid = {"grid": {"alpha": list(values)}, "max_parallel": 2, "point_retries": retries}
    world.submitted(job_id, JobSpec.from_json({**spec_of(job_id).to_json(), **grid}))
    return job_id


def spec_of(job_id: str) -> JobSpec:
    found = store.find(job_id)
    assert found is not None
    return found.spec


def run(tag: str, end: End | None = None) -> None:
    status.claim(tag)
    status.submitted(tag, f"application_{tag}")
    status.move(tag, "running", f"application_{tag}", T0)
    if end:
        status.end(tag, end)


def statuses(job_id: str) -> list[str]:
    return [point.status for point in points.of_sweep(job_id)]


def job_status(job_id: str) -> tuple[str, str | None]:
    found = store.find(job_id)
    assert found is not None
    return found.status, found.reason_code


def test_a_sweep_is_as_far_as_its_first_point_and_ends_with_its_last(world: World, sweep: str) -> None:
    assert statuses(sweep) == ["waiting"] * 3
    assert status.claim(f"{sweep}-1")
    assert job_status(sweep)[0] == "queued"
    run(f"{sweep}-1", GOOD)
    assert (job_status(sweep)[0], statuses(sweep)) == ("running", ["waiting", "succeeded", "waiting"])
    run(f"{sweep}-0", GOOD)
    run(f"{sweep}-2", GOOD)
    assert job_status(sweep) == ("succeeded", None)
    assert world.one("SELECT sum(held_ucr) FROM account") > 0, "what ran is settled, not given back at once"


def test_a_failed_point_stops_no_other_and_is_named_at_the_end(sweep: str) -> None:
    run(f"{sweep}-0", GOOD)
    run(f"{sweep}-1", BAD)
    assert job_status(sweep)[0] == "running"
    run(f"{sweep}-2", GOOD)
    assert job_status(sweep) == ("failed", "points_failed")
    found = store.find(sweep)
    assert found is not None
    assert found.reason.startswith("Of 3 points 1 failed: 1.")


def test_where_all_points_end_alike_so_does_the_sweep(sweep: str) -> None:
    for point in range(3):
        run(f"{sweep}-{point}", BAD)
    assert job_status(sweep) == ("failed", "user_error")


def test_a_failed_point_runs_again_alone_as_often_as_was_asked(world: World) -> None:
    sweep = make(world, retries=1)
    run(f"{sweep}-0", GOOD)
    run(f"{sweep}-1", BAD)
    assert statuses(sweep) == ["succeeded", "waiting", "waiting"]
    assert points.of_sweep(sweep)[1].application_id is None
    assert not status.move(f"{sweep}-1", "running", f"application_{sweep}-1"), "that run is over"
    assert not status.claim(f"{sweep}-1")
    run(f"{sweep}-2", GOOD)
    run(f"{sweep}-1.2", BAD)
    assert statuses(sweep) == ["succeeded", "failed", "succeeded"]
    assert job_status(sweep) == ("failed", "points_failed")


def test_a_point_that_ran_again_with_success_is_a_success(world: World) -> None:
    sweep = make(world, retries=2, values=(1,))
    run(f"{sweep}-0", BAD)
    run(f"{sweep}-0.2", GOOD)
    assert job_status(sweep) == ("succeeded", None)
    job = store.find(sweep)
    assert job is not None
    assert [(run.attempt, run.status) for run in runs.with_application(job)] == [
        (1, "failed"),
        (2, "succeeded"),
    ]


def test_a_cancelled_sweep_waits_only_for_the_points_that_run(world: World, sweep: str) -> None:
    run(f"{sweep}-0", GOOD)
    run(f"{sweep}-1")
    assert status.stop_job(sweep, "cancelled", "cancelled by user1", by="user1") == "cancelling"
    assert statuses(sweep) == ["succeeded", "cancelling", "cancelled"]
    assert not status.claim(f"{sweep}-2")
    status.end(f"{sweep}-1", End("cancelled", "cancelled", "stopped at the ResourceManager"))
    found = store.find(sweep)
    assert found is not None
    assert (found.status, found.reason, found.cancelled_by) == ("cancelled", "cancelled by user1", "user1")


def test_cancelled_before_anything_ran_it_costs_nothing(world: World, sweep: str) -> None:
    assert status.stop_job(sweep, "cancelled", "cancelled by user1", by="user1") == "cancelled"
    assert statuses(sweep) == ["cancelled"] * 3
    assert world.one("SELECT sum(held_ucr) FROM account") == 0


def test_cancelled_on_the_way_of_its_first_point_too(world: World, sweep: str) -> None:
    status.claim(f"{sweep}-0")
    status.stop_job(sweep, "cancelled", "cancelled by user1", by="user1")
    status.end(f"{sweep}-0", End("cancelled", "cancelled", "stopped before it was submitted"))
    assert job_status(sweep) == ("cancelled", "cancelled")
    assert world.one("SELECT sum(held_ucr) FROM account") == 0


def test_the_watch_follows_each_point_by_its_own_tag(world: World, sweep: str, yarn: Yarn) -> None:
    for point in (0, 1):
        status.claim(f"{sweep}-{point}")
        yarn.has(f"{sweep}-{point}", "RUNNING", tags=(f"{sweep}-{point}", sweep))
    assert watch.look() == {f"{sweep}-0", f"{sweep}-1"}
    assert statuses(sweep) == ["running", "running", "waiting"]
    yarn.has(f"{sweep}-0", "FINISHED", final_status="SUCCEEDED", finished_ms=T0)
    assert watch.look() == {f"{sweep}-1"}
    assert statuses(sweep) == ["succeeded", "running", "waiting"]
    assert yarn.killed == []


def test_a_point_is_stopped_at_its_time_and_the_others_go_on(world: World, sweep: str, yarn: Yarn) -> None:
    run(f"{sweep}-0")
    run(f"{sweep}-1")
    world.sql("UPDATE run SET started_ms = 2000000000000 WHERE point = 1")
    yarn.has(f"{sweep}-0", "RUNNING", tags=(f"{sweep}-0", sweep))
    yarn.has(f"{sweep}-1", "RUNNING", tags=(f"{sweep}-1", sweep))
    watch.look()
    assert statuses(sweep) == ["cancelling", "running", "waiting"]
    assert yarn.killed == [f"application_{sweep}-0"]
    yarn.has(f"{sweep}-0", "KILLED", finished_ms=T0)
    watch.look()
    assert [point.reason_code for point in points.of_sweep(sweep)] == ["max_duration", None, None]
    assert job_status(sweep)[0] == "running"


def test_a_sweep_of_which_nothing_moves_finds_no_machine(world: World, sweep: str, yarn: Yarn) -> None:
    world.sql("UPDATE run SET since_ms = 1 WHERE point < 2")
    watch.look()
    assert job_status(sweep)[0] == "submitted", "one of its points moved not long ago"
    world.sql("UPDATE run SET since_ms = 1")
    watch.look()
    assert job_status(sweep) == ("failed", "no_capacity")


def test_a_stray_application_of_an_ended_point_is_killed(world: World, sweep: str, yarn: Yarn) -> None:
    run(f"{sweep}-0", GOOD)
    yarn.has(f"{sweep}-0", "RUNNING", tags=(f"{sweep}-0", sweep))
    watch.look()
    assert yarn.killed == [f"application_{sweep}-0"]


def test_a_point_that_nobody_submits_any_more_is_closed(
    world: World, sweep: str, yarn: Yarn, airflow: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    status.claim(f"{sweep}-0")
    status.hand_over(f"{sweep}-0")
    reconcile.run_pass()
    assert statuses(sweep)[0] == "queued"
    world.sql("UPDATE submission SET begun_ms = 1")
    reconcile.run_pass()
    assert points.of_sweep(sweep)[0].reason_code == "pool_failure"


def test_points_that_airflow_gave_up_are_closed_when_none_is_under_way(
    world: World, sweep: str, yarn: Yarn, airflow: Runs
) -> None:
    airflow.over.add(sweep)
    world.sql("UPDATE run SET since_ms = 1")
    status.claim(f"{sweep}-0")
    reconcile.run_pass()
    assert statuses(sweep) == ["queued", "waiting", "waiting"]
    status.end(f"{sweep}-0", GOOD)
    airflow.over.clear()
    reconcile.run_pass()
    assert statuses(sweep) == ["succeeded", "waiting", "waiting"]
    airflow.over.add(sweep)
    reconcile.run_pass()
    assert statuses(sweep) == ["succeeded", "failed", "failed"]
    job = store.find(sweep)
    assert job is not None
    assert (job.status, job.reason_code) == ("failed", "points_failed")


def test_a_run_that_the_pool_ended_is_refunded_by_itself(world: World, sweep: str) -> None:
    run(f"{sweep}-0", End("lost", "pool_failure", "The pool lost the machine.", T0 + MINUTE))
    run(f"{sweep}-1", End("succeeded", None, "", T0 + MINUTE))
    run(f"{sweep}-2", End("succeeded", None, "", T0 + MINUTE))
    paid = {}
    for point in range(3):
        application = f"application_{sweep}-{point}"
        world.sql(
            "INSERT INTO application_usage (application_id, job_id, last_seen_ms, final, final_ms, place)"
            " VALUES (%s, %s, %s, true, %s, %s)",
            *(application, sweep, T0, T0 + MINUTE, point),
        )
        made = world.container(sweep, None, T0, T0 + MINUTE, role="driver", attempt=point * 10 + 1)
        world.sql("UPDATE container_usage SET application_id = %s WHERE container_id = %s", application, made)
        paid[point] = made
    world.sql("UPDATE hold SET taken_ms = %s", T0)
    world.sql("UPDATE job SET ended_ms = %s, added_ms = %s", T0 + MINUTE, T0)
    world.mark(T0 + 10 * MINUTE)
    settle(T0 + 5 * MINUTE)
    assert world.violations() == []
    with transaction() as cursor:
        found = receipt(cursor, sweep)
    lines = {line["point"]: line for line in found["containers"]}
    assert lines[0]["not_charged_because"] == "refunded"
    assert [lines[point]["amount"] != "0.000000" for point in range(3)] == [False, True, True]
    assert world.one("SELECT count(*) FROM refund") == 1
