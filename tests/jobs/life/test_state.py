"""How runs and their job move: the rules alone, every order of a few steps."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from market.jobs.life.state import End, RunState, Stop, job_of, latest, may_run_again
from market.kit.vocabulary import ENDED, RUN_WAY, WAY

NOW = 1_800_000_000_000
CANCEL, LATE = Stop("cancelled", "cancelled by ann"), Stop("max_duration", "stopped after 60 s")
GOOD, BAD = End("succeeded", None, "", NOW), End("failed", "user_error", "The program failed.", NOW)


def waiting(point: int = 0, attempt: int = 1) -> RunState:
    return RunState(point, attempt, f"job-{point}.{attempt}", "waiting", NOW)


def running(point: int = 0) -> RunState:
    run = replace(waiting(point), status="queued").moved("running", f"application_{point}", NOW, NOW)
    assert run is not None
    return run


def ended(end: End, point: int = 0) -> RunState:
    run = running(point).ended(end, NOW)
    assert run is not None
    return run


STEPS = {
    "claim": lambda run: replace(run, status="queued") if run.status == "waiting" else run,
    "accept": lambda run: run.moved("accepted", "application_1", NOW, NOW) or run,
    "run": lambda run: run.moved("running", "application_1", NOW, NOW) or run,
    "stop": lambda run: run.stopped(CANCEL, NOW),
    "late": lambda run: run.stopped(LATE, NOW),
    "succeed": lambda run: run.ended(GOOD, NOW) or run,
    "fail": lambda run: run.ended(BAD, NOW) or run,
}


def test_in_any_order_a_run_goes_forward_and_ends_once() -> None:
    for order in itertools.permutations(STEPS, 5):
        _walk(order)


def _walk(order: tuple[str, ...]) -> None:
    run, status = waiting(), "submitted"
    for step in order:
        before, run = run, STEPS[step](run)
        if before.status in ENDED:
            assert run == before, f"{order}: an ended run never changes"
        if before.status in RUN_WAY and run.status in RUN_WAY:
            assert RUN_WAY.index(run.status) >= RUN_WAY.index(before.status), order
        assert (run.status in ENDED) == (run.ended_ms is not None), order
        job = job_of([run], None, status)
        assert (job.status in ENDED) == (run.status in ENDED), order
        if job.status in WAY and status in WAY:
            assert WAY.index(job.status) >= WAY.index(status), order
        if job.status in ENDED:
            assert (job.status, job.reason_code, job.reason) == (run.status, run.reason_code, run.reason), (
                order
            )
        status = job.status


def test_what_is_asked_for_before_the_end_counts_but_success_is_success() -> None:
    stopping = running().stopped(LATE, NOW)
    assert stopping.status == "cancelling"
    killed = stopping.ended(End("cancelled", "cancelled", "stopped at the ResourceManager"), NOW)
    assert killed is not None
    assert (killed.status, killed.reason_code, killed.reason) == ("failed", LATE.reason_code, LATE.reason)
    done = stopping.ended(GOOD, NOW)
    assert done is not None
    assert (done.status, done.reason_code) == ("succeeded", None)


def test_a_run_that_was_not_begun_ends_at_once_and_is_no_application_s() -> None:
    assert waiting().stopped(CANCEL, NOW).status == "cancelled"
    assert waiting().stopped(Stop("no_capacity", ""), NOW).status == "failed"
    assert waiting().ended(BAD, NOW) is None


@pytest.mark.parametrize(
    ("run", "was_stopping", "most", "again"),
    [
        (ended(BAD), False, 2, True),
        (ended(End("lost", "pool_failure", "")), False, 2, True),
        (ended(BAD), False, 1, False),
        (ended(BAD), True, 2, False),
        (ended(GOOD), False, 2, False),
    ],
)
def test_a_failed_run_is_followed_by_another_while_one_is_left(
    run: RunState, was_stopping: bool, most: int, again: bool
) -> None:
    assert may_run_again(run, was_stopping, most) is again


def test_a_job_is_as_far_as_its_first_point_and_ends_with_its_last() -> None:
    assert job_of([waiting(0), waiting(1)], None).status == "submitted"
    assert job_of([running(0), waiting(1)], None).status == "running"
    assert job_of([ended(GOOD, 0), waiting(1)], None).status == "running", "it has run: it never goes back"
    assert job_of([ended(GOOD, 0), ended(GOOD, 1)], None).status == "succeeded"


def test_a_job_waits_for_the_attempt_that_follows() -> None:
    failed = ended(BAD)
    again = failed.next_attempt("job-0.2", NOW)
    job = job_of([failed, again], None)
    assert (job.status, job.ended_ms) == ("running", None)
    assert latest([failed, again]) == [again]
    assert (again.attempt, again.application_id, again.reason) == (2, None, failed.reason)


def test_one_run_that_is_stopped_stops_no_other() -> None:
    late = running(0).stopped(LATE, NOW)
    assert job_of([late, running(1)], None).status == "running"
    assert job_of([late, ended(GOOD, 1)], None).status == "cancelling"
    job = job_of([running(0).stopped(CANCEL, NOW), ended(GOOD, 1)], CANCEL)
    assert (job.status, job.reason) == ("cancelling", CANCEL.reason)


@pytest.mark.parametrize(
    ("ends", "stop", "status", "code"),
    [
        ([GOOD, GOOD], None, "succeeded", None),
        ([GOOD, BAD], None, "failed", "points_failed"),
        ([BAD, BAD], None, "failed", "user_error"),
        ([GOOD, BAD], CANCEL, "cancelled", "cancelled"),
        ([GOOD, BAD], LATE, "failed", "max_duration"),
        ([GOOD, GOOD], CANCEL, "succeeded", None),
        ([BAD], None, "failed", "user_error"),
    ],
)
def test_a_job_ends_as_its_runs_have(ends: list[End], stop: Stop | None, status: str, code: str) -> None:
    job = job_of([ended(end, point) for point, end in enumerate(ends)], stop)
    assert (job.status, job.reason_code, job.ended_ms) == (status, code, NOW)


def test_points_that_failed_are_named_and_counted() -> None:
    ends = [ended(BAD if point % 2 else GOOD, point) for point in range(30)]
    reason = job_of(ends, None).reason
    assert reason.startswith("Of 30 points 15 failed: 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, ....")
