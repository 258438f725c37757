"""Budgets and caps that are nearly spent: told in the transaction that makes it true, each threshold once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from ledger_world import T0, World

from market.credits import ledger, projects
from market.credits.project_errors import OverBudgetError
from market.kit import database
from market.kit.clock import now_ms
from market.notifications import feed, outbox
from market.people.member import Member

pytestmark = pytest.mark.database

CREDIT = 1_000_000
DAY = 86_400_000


def told(world: World) -> list[tuple[str, str, int]]:
    """Return the kind, the username and the percent of each notice, in order."""
    rows = world.sql(
        "SELECT kind, username, data->>'percent' FROM event JOIN member USING (user_id)"
        " WHERE kind IN ('budget', 'cap') ORDER BY kind, (data->>'percent')::int, username"
    )
    return [(kind, name, int(percent)) for kind, name, percent in rows]


def name(world: World, user_id: str) -> str:
    return str(world.one("SELECT username FROM member WHERE user_id = %s", user_id))


def set_budget(world: World, project: str, budget_ucr: int) -> None:
    with database.transaction() as cursor:
        projects.set_budget(cursor, project, "", budget_ucr, T0, T0 + 365 * DAY)


def test_a_budget_is_told_of_at_80_and_at_100_percent_to_who_manages_it(world: World) -> None:
    owner, manager, member = sorted([world.member(0), world.member(0), world.member(0)])
    project = world.project(owner, 20 * CREDIT, 10 * CREDIT)
    world.joins(project, manager, "manager")
    world.joins(project, member)
    heard = sorted([name(world, owner), name(world, manager)])
    first = world.job(member, 7_999_999, project=project)
    assert told(world) == []
    world.job(member, 1, project=project)
    near = [("budget", one, 80) for one in heard]
    assert told(world) == near
    world.job(member, 1_999_999, project=project)
    assert told(world) == near
    world.job(member, 1, project=project)
    full = [("budget", one, 100) for one in heard]
    assert told(world) == near + full
    with database.transaction() as cursor:  # falls below both, and passes them again
        ledger.release_hold(cursor, first, "r", T0)
    world.job(member, 7_999_999, project=project)
    assert told(world) == near + full
    set_budget(world, project, 12 * CREDIT)
    assert told(world) == sorted(near + near) + full, "another budget is told of anew"
    set_budget(world, project, 10 * CREDIT)
    assert len(told(world)) == 6, "of this budget it was told before"
    assert world.violations() == []


def test_one_step_over_both_thresholds_is_one_notice_of_the_higher(world: World) -> None:
    owner = world.member(0)
    project = world.project(owner, 20 * CREDIT, 10 * CREDIT)
    world.sql("DELETE FROM event")
    world.job(owner, 10 * CREDIT, project=project)
    assert told(world) == [("budget", name(world, owner), 100)]
    outbox.run_pass()
    (event,) = feed.after(Member(owner, name(world, owner), ""), 0, 10)
    project_name = world.one("SELECT name FROM project WHERE project_id = %s", project)
    assert event.sentence == (
        f"100 % of the budget of {project_name} are spent or held: 0 of 10 credits are left."
    )


def test_what_a_part_commits_counts_above_and_each_hears_of_his_own(world: World) -> None:
    above, below = world.member(0), world.member(0)
    lab = world.project(above, 0, 10 * CREDIT)
    part = world.project(below, 20 * CREDIT, 9 * CREDIT, lab)
    world.job(below, 8 * CREDIT, project=part)
    assert sorted(told(world)) == sorted(
        [("budget", name(world, above), 80), ("budget", name(world, below), 80)]
    )


def test_a_lower_budget_passes_a_threshold_as_well_and_none_has_none(world: World) -> None:
    owner = world.member(0)
    project = world.project(owner, 20 * CREDIT, 10 * CREDIT)
    set_budget(world, project, 0)
    set_budget(world, project, 10 * CREDIT)
    world.job(owner, 4 * CREDIT, project=project)
    assert told(world) == []
    set_budget(world, project, 5 * CREDIT)
    assert told(world) == [("budget", name(world, owner), 80)]


def test_a_cap_is_told_of_once_a_month_to_the_member_and_who_manages(world: World) -> None:
    owner, member, other = world.member(0), world.member(0), world.member(0)
    project = world.project(owner, 90 * CREDIT)
    world.joins(project, member, cap_ucr=5 * CREDIT)
    world.joins(project, other, cap_ucr=50 * CREDIT)
    job = world.job(member, 3 * CREDIT, project=project)
    world.job(other, 5 * CREDIT, project=project)
    assert told(world) == []
    with database.transaction() as cursor:  # an extension passes it as a hold does
        ledger.extend_hold(cursor, job, 4 * CREDIT, "more", T0)
    heard = sorted([name(world, owner), name(world, member)])
    assert told(world) == [("cap", one, 80) for one in heard]
    world.job(member, CREDIT, project=project)
    assert told(world) == [("cap", one, percent) for percent in (80, 100) for one in heard]
    with pytest.raises(OverBudgetError):
        world.job(member, 1, project=project)
    assert len(told(world)) == 4
    world.job(member, 4 * CREDIT, at=T0 + 31 * DAY, project=project)
    assert len(told(world)) == 6, "another month has a cap of its own"
    sentence = world.one(
        "SELECT data FROM event WHERE kind = 'cap' AND data->>'month' = '2023-12' AND user_id = %s", member
    )
    assert (sentence["cap"], sentence["left"], sentence["member"]) == ("5", "1", name(world, member))


def test_a_cap_that_is_lowered_to_what_is_committed_is_told_of(world: World) -> None:
    owner, member = world.member(0), world.member(0)
    project = world.project(owner, 90 * CREDIT, end=now_ms() + DAY)
    world.joins(project, member, cap_ucr=50 * CREDIT)
    world.job(member, 4 * CREDIT, at=now_ms(), project=project)
    world.joins(project, member, cap_ucr=4 * CREDIT)
    assert told(world) == [("cap", one, 100) for one in sorted([name(world, owner), name(world, member)])]


def test_twenty_holds_at_once_are_one_notice_of_each_threshold(world: World) -> None:
    owner, member = world.member(0), world.member(0)
    project = world.project(owner, 90 * CREDIT, 20 * CREDIT)
    world.joins(project, member, cap_ucr=20 * CREDIT)
    for number in range(20):
        world.job_row(f"{number:032x}", member, project=project)

    def hold(number: int) -> None:
        def take(cursor: database.Cursor) -> None:
            ledger.take_hold(cursor, f"{number:032x}", project, CREDIT, 1_000_000, T0 + DAY, T0)

        database.retried(take)

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(hold, range(20)))
    both = sorted([name(world, owner), name(world, member)])
    assert told(world) == [
        *(("budget", name(world, owner), percent) for percent in (80, 100)),
        *(("cap", one, percent) for percent in (80, 100) for one in both),
    ]
    assert world.violations() == []


def test_nothing_is_told_of_a_hold_that_is_rolled_back(world: World) -> None:
    owner = world.member(0)
    project = world.project(owner, 20 * CREDIT, 10 * CREDIT)
    world.job_row("e" * 32, owner, project=project)
    with suppress(RuntimeError), database.transaction() as cursor:
        ledger.take_hold(cursor, "e" * 32, project, 9 * CREDIT, 1_000_000, T0 + DAY, T0)
        raise RuntimeError
    assert told(world) == []
    assert world.one("SELECT count(*) FROM budget_notice") == 0
    world.job(owner, 9 * CREDIT, project=project)
    assert told(world) == [("budget", name(world, owner), 80)]


def test_what_was_told_stays_known_when_events_are_deleted(world: World) -> None:
    owner = world.member(0)
    project = world.project(owner, 20 * CREDIT, 10 * CREDIT)
    job = world.job(owner, 8 * CREDIT, project=project)
    world.sql("DELETE FROM event")
    with database.transaction() as cursor:
        ledger.release_hold(cursor, job, "r", T0)
    world.job(owner, 9 * CREDIT, project=project)
    assert told(world) == []
