"""Transactions that PostgreSQL wants again are made again; the work of one name is done by one at a time."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_world import World
from psycopg2 import errors

from market.credits import ledger
from market.jobs.intake.extend import extend
from market.jobs.intake.submit import submit
from market.jobs.life import status
from market.kit.database import exclusively
from market.people.member import Member

pytestmark = pytest.mark.database

BODY = {"root_path": "digits", "core_num": 1, "machine_type": "cpu", "max_duration": 60}


@pytest.fixture
def clashes(monkeypatch: pytest.MonkeyPatch) -> list[type[Exception]]:
    """What the next calls of the ledger come to, after they have worked."""
    left: list[type[Exception]] = []

    def clashing(name: str) -> None:
        work = getattr(ledger, name)

        def run(*args: Any, **options: Any) -> Any:
            answer = work(*args, **options)
            if left:
                raise left.pop()("asked to be tried again")
            return answer

        monkeypatch.setattr(ledger, name, run)

    for name in ("take_hold", "extend_hold", "release_hold"):
        clashing(name)
    return left


def test_a_job_s_changes_survive_deadlocks(
    world: World, clashes: list[type[Exception]], lone_program: None
) -> None:
    member = Member(world.member(), "ann", "")
    clashes += [errors.DeadlockDetected, errors.SerializationFailure]
    job_id = submit(member, BODY)["job_id"]
    assert world.sql("SELECT job_id::text FROM job") == [(job_id,)]
    clashes.append(errors.DeadlockDetected)
    assert extend(member, job_id, {"max_duration": 120})["max_duration"] == 120
    clashes.append(errors.DeadlockDetected)
    assert status.stop_job(job_id, "cancelled", "cancelled by ann") == "cancelled"
    assert clashes == []
    assert world.balances(member.user_id).held_ucr == 0
    assert world.violations() == []


def test_one_that_clashes_for_ever_is_told(
    world: World, clashes: list[type[Exception]], lone_program: None
) -> None:
    clashes += [errors.DeadlockDetected] * 20
    with pytest.raises(errors.DeadlockDetected):
        submit(Member(world.member(), "ann", ""), BODY)
    assert world.sql("SELECT job_id FROM job") == []


def test_the_work_of_one_name_is_done_by_one_at_a_time(world: World) -> None:
    with exclusively("roster") as first, exclusively("roster") as second, exclusively("meter") as other:
        assert (first, second, other) == (True, False, True)
    with exclusively("roster") as again:
        assert again
