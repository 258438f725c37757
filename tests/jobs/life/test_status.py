"""The life of a job in the database: forward only, one end, credits back where nothing ran."""

from __future__ import annotations

import threading

import pytest
from ledger_world import World

from market.jobs import store
from market.jobs.life import status
from market.jobs.life.state import End

pytestmark = pytest.mark.database


@pytest.fixture
def job(world: World) -> str:
    """A job as it is just after its submission."""
    job_id = world.job(world.member())
    world.sql("DELETE FROM application_usage")
    world.stand(job_id, "submitted")
    return job_id


def held(world: World) -> int:
    return int(world.one("SELECT sum(held_ucr) FROM account"))


def history(job_id: str) -> list[object]:
    return [line["status"] for line in store.history(job_id)]


def test_it_goes_its_way_and_never_back(job: str) -> None:
    assert status.claim(job)
    assert status.submitted(job, "application_1_1")
    assert status.move(job, "accepted", "application_1_1")
    assert status.move(job, "running", "application_1_1", 2_000_000_000_000)
    assert not status.move(job, "accepted", "application_1_1")
    assert status.end(job, End("succeeded", None, ""))
    assert history(job) == ["queued", "accepted", "running", "succeeded"]
    found = store.find(job)
    assert found is not None
    assert found.started_ms == 2_000_000_000_000


def test_it_ends_once(job: str) -> None:
    status.claim(job)
    assert status.end(job, End("failed", "user_error", "no"))
    assert not status.end(job, End("succeeded", None, ""))
    assert status.stop_job(job, "cancelled", "too late") == "failed"
    assert not status.claim(job)
    assert history(job) == ["queued", "failed"]


def test_cancelled_before_it_was_submitted_it_costs_nothing(world: World, job: str) -> None:
    assert held(world) > 0
    assert status.stop_job(job, "cancelled", "cancelled by user1", by="user1") == "cancelled"
    assert held(world) == 0
    assert not status.claim(job)


def test_cancelled_before_yarn_was_told_it_costs_nothing(world: World, job: str) -> None:
    """Its task has begun, and waits for a machine of its type."""
    status.claim(job)
    assert status.stop_job(job, "cancelled", "cancelled by user1", by="user1") == "cancelled"
    assert held(world) == 0
    assert not status.hand_over(job)


def test_what_was_handed_to_yarn_keeps_its_hold_when_it_ends(world: World, job: str) -> None:
    """A container may be observed after the end: the settlement gives the hold back when the meter looked."""
    status.claim(job)
    status.hand_over(job)
    status.end(job, End("failed", "pool_failure", "The market could not submit this job."))
    assert held(world) > 0


def test_cancelled_on_its_way_it_waits_for_yarn_s_word(world: World, job: str) -> None:
    status.claim(job)
    assert status.hand_over(job)
    assert status.stop_job(job, "cancelled", "cancelled by user1", by="user1") == "cancelling"
    assert not status.hand_over(job)
    assert not status.submitted(job, "application_1_1"), "who submits must learn that it is to be stopped"
    assert not status.move(job, "running", "application_1_1")
    status.end(job, End("cancelled", "cancelled", "stopped at the ResourceManager"))
    found = store.find(job)
    assert found is not None
    assert (found.status, found.reason, found.cancelled_by) == ("cancelled", "cancelled by user1", "user1")
    assert held(world) > 0, "what it held is settled, not given back at once"


def test_what_the_market_stopped_has_failed_for_that_reason(job: str) -> None:
    status.claim(job)
    status.stop_job(job, "max_duration", "stopped after 60 s")
    status.end(job, End("cancelled", "cancelled", "stopped at the ResourceManager"))
    found = store.find(job)
    assert found is not None
    assert (found.status, found.reason_code) == ("failed", "max_duration")


def test_a_success_that_came_before_the_stop_stays_a_success(job: str) -> None:
    status.claim(job)
    status.hand_over(job)
    status.stop_job(job, "cancelled", "cancelled by user1", by="user1")
    status.end(job, End("succeeded", None, ""))
    found = store.find(job)
    assert found is not None
    assert (found.status, found.reason_code) == ("succeeded", None)


def test_of_many_who_close_it_one_does(job: str) -> None:
    status.claim(job)
    done: list[bool] = []
    threads = [
        threading.Thread(target=lambda: done.append(status.end(job, End("succeeded", None, ""))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False] * 7 + [True]
