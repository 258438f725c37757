"""Why a job waits: each cause, as the watch and the meter leave it in the database, has its words."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_world import MINUTE, World

from market.jobs import store
from market.jobs.life import waiting
from market.jobs.spec import JobSpec
from market.kit.clock import now_ms
from market.kit.vocabulary import WAITS
from market.machines import supply

pytestmark = pytest.mark.database

HOUR = 60 * MINUTE


@pytest.fixture
def owner(world: World) -> str:
    return world.member(credits_ucr=100_000_000)


@pytest.fixture
def job(world: World, owner: str) -> str:
    """A job of two executors that has just been submitted; a machine of its type and one for drivers."""
    world.machine(None, cores=8)
    job_id = submitted(world, owner)
    world.machine(world.member(), cores=4)
    return job_id


def submitted(world: World, owner: str, at: int | None = None) -> str:
    at = at or now_ms()
    job_id = world.job(owner, hold_ucr=1_000_000, at=at)
    world.sql("DELETE FROM application_usage WHERE job_id = %s", job_id)
    world.stand(job_id, "submitted")
    return job_id


def told(job_id: str) -> dict[str, Any]:
    found = store.find(job_id)
    assert found is not None
    why = waiting.why(found, supply.of)
    assert why is not None
    assert why["code"] in WAITS
    assert why["sentence"].endswith(".")
    return why


def machines(world: World, state: str) -> None:
    world.sql("UPDATE machine SET state = %s WHERE machine_type = 'cpu'", state)


def test_airflow_has_not_begun_it(world: World, job: str) -> None:
    assert told(job)["code"] == "begins"
    world.sql("UPDATE run SET since_ms = since_ms - %s", 5 * MINUTE)
    why = told(job)
    assert why["code"] == "begins"
    assert why["sentence"].startswith("Airflow has not begun it for 5 minutes")


def test_its_packages_are_fetched_first(world: World, job: str) -> None:
    world.sql("UPDATE job SET spec = jsonb_set(spec::jsonb, '{builds}', 'true')")
    assert told(job)["code"] == "packages"


def test_it_is_being_handed_over(world: World, job: str) -> None:
    world.stand(job, "queued")
    world.sql("DELETE FROM submission")
    assert told(job)["code"] == "submits"


def test_nobody_lends_its_type(world: World, job: str) -> None:
    world.stand(job, "queued")
    world.sql("DELETE FROM machine WHERE machine_type = 'cpu'")
    why = told(job)
    assert why["sentence"] == "No machine of the type cpu is lent now; there has been none yet."
    assert why["code"] == "no_machine"
    gone = world.machine(world.member())
    world.online(gone, now_ms() - 5 * HOUR, now_ms() - 3 * HOUR)
    machines(world, "left")
    assert told(job)["sentence"].endswith("the last one was there 3 hours ago.")


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("joining", "1 machine of the type cpu is joining; none takes work yet."),
        (
            "draining",
            "1 machine of the type cpu is being drained and takes no new work; no other is lent.",
        ),
        ("resting", "1 machine of the type cpu is lent at other hours of the day; no other is lent."),
    ],
)
def test_no_machine_of_its_type_takes_work(world: World, job: str, state: str, sentence: str) -> None:
    world.stand(job, "queued")
    machines(world, state)
    why = told(job)
    assert (why["code"], why["sentence"]) == (state, sentence)
    assert why["figures"]["machines"] == why["figures"]["cores"] == 0


def test_no_machine_is_large_enough(world: World, job: str) -> None:
    world.stand(job, "accepted")
    world.sql("UPDATE machine SET memory_mib = 1023 WHERE machine_type = 'cpu'")
    why = told(job)
    assert why["code"] == "too_large"
    assert "an executor of 1 cores and 1024 MiB" in why["sentence"]
    assert "the largest has 4 cores and 1023 MiB" in why["sentence"]


def test_the_drivers_machine_is_full(world: World, job: str, owner: str) -> None:
    other = world.job(owner, hold_ucr=1_000_000)
    pool = world.one("SELECT machine_id FROM machine WHERE machine_type = 'pool'")
    for _ in range(7):
        world.container(other, pool, now_ms() - MINUTE, role="driver", memory_mib=1100)
    world.stand(job, "accepted")
    why = told(job)
    assert why["code"] == "driver_room"
    assert "it needs 1 core and 1024 MiB, and 492 MiB are free" in why["sentence"]


def test_all_cores_are_taken_and_others_asked_before(world: World, job: str, owner: str) -> None:
    machine = world.one("SELECT machine_id FROM machine WHERE machine_type = 'cpu'")
    running = world.job(owner, hold_ucr=1_000_000)
    for _ in range(4):
        world.container(running, machine, now_ms() - MINUTE)
    for minutes in (30, 20):
        submitted(world, owner, now_ms() - minutes * MINUTE)
    world.container(job, None, now_ms(), role="driver")
    world.stand(job, "running")
    why = told(job)
    assert why["code"] == "cores"
    assert why["sentence"] == (
        "4 of the 4 cores of the type cpu are in use, and 2 jobs asked for 4 cores before it."
    )
    figures = why["figures"]
    assert (figures["place"], figures["jobs_before"], figures["cores_before"]) == (3, 2, 4)
    assert (figures["machines"], figures["cores"], figures["free_cores"]) == (1, 4, 0)
    assert figures["usual_wait"] is None, "of jobs that began there are too few"


def test_there_is_room_and_yarn_starts_it(world: World, job: str) -> None:
    world.stand(job, "accepted", application_id=f"application_{job}")
    assert told(job)["code"] == "yarn"
    world.container(job, None, now_ms(), role="driver")
    assert told(job)["code"] == "prepares"
    world.stand(job, "running")
    assert told(job)["code"] == "prepares"


def test_what_runs_or_has_ended_waits_for_nothing(world: World, job: str) -> None:
    world.stand(job, "running")
    world.container(job, None, now_ms())
    assert waiting.why(store.find(job), supply.of) is None  # type: ignore[arg-type]
    world.stand(job, "cancelling")
    assert waiting.why(store.find(job), supply.of) is None  # type: ignore[arg-type]
    world.end_job(job, now_ms())
    assert waiting.why(store.find(job), supply.of) is None  # type: ignore[arg-type]


def test_of_a_sweep_the_run_that_came_farthest_counts(world: World, job: str) -> None:
    spec = JobSpec.from_json(
        {**store.find(job).spec.to_json(), "grid": {"a": [1, 2, 3]}, "max_parallel": 2}  # type: ignore[union-attr]
    )
    world.submitted(job, spec)
    assert told(job)["code"] == "begins"
    world.sql("UPDATE run SET status = 'accepted', application_id = 'application_1_1' WHERE point = 1")
    assert told(job)["code"] == "yarn"


def test_what_like_jobs_waited_is_told(world: World, job: str, owner: str) -> None:
    for seconds in (20, 40, 90):
        at = now_ms() - HOUR
        like = submitted(world, owner, at)
        world.sql("UPDATE job SET started_ms = added_ms + %s WHERE job_id = %s", seconds * 1000, like)
    long_ago = submitted(world, owner, now_ms() - 30 * HOUR)
    world.sql("UPDATE job SET started_ms = added_ms + 999000 WHERE job_id = %s", long_ago)
    large = submitted(world, owner, now_ms() - HOUR)
    world.sql("UPDATE job SET started_ms = added_ms + 999000, core_num = 5 WHERE job_id = %s", large)
    why = told(job)
    assert why["figures"]["usual_wait"] == 40
    assert why["sentence"].endswith(" Jobs like it waited 40 seconds in the last day.")
