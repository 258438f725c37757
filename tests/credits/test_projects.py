"""Projects in the ledger: who pays, how much, and that no order of events breaks a budget or a cap."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from ledger_world import GIB_WEIGHT, MINUTE, RATE, SPEC, T0, WEIGHT, World

from market.credits import ledger, projects
from market.credits.project_errors import OverBudgetError, ProjectRefusesError
from market.credits.settlement.steps import settle
from market.kit import database
from market.kit.clock import new_id
from market.kit.errors import BadInputError, ConflictError, NotEnoughCreditError, OverLimitError

pytestmark = pytest.mark.database

DAY = 86_400_000
CREDIT = 1_000_000


def submit(user_id: str, project_id: str, ucr: int, at: int = T0) -> str:
    """Store a job and its hold in one transaction, as a submission does."""

    def work(cursor: database.Cursor) -> str:
        job_id = new_id()
        cursor.execute(
            "INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro,"
            " weight_micro, gib_weight_micro, status, added_ms, project_id)"
            " VALUES (%s, %s, 'x', %s, 'cpu', 1, %s, %s, %s, 'submitted', %s, %s)",
            [job_id, user_id, SPEC, RATE, WEIGHT, GIB_WEIGHT, at, project_id],
        )
        ledger.take_hold(cursor, job_id, project_id, ucr, RATE, at + DAY, at)
        return job_id

    return database.retried(work)


def committed(world: World, project_id: str) -> int:
    return int(world.one("SELECT committed_ucr FROM project WHERE project_id = %s", project_id))


def test_the_project_pays_and_not_who_submits(world: World) -> None:
    owner, member = world.member(0), world.member()
    project = world.project(owner, 20 * CREDIT)
    world.joins(project, member)
    job = world.job(member, 3 * CREDIT, project=project)
    assert (world.balances(project).held_ucr, world.balances(member).held_ucr) == (3 * CREDIT, 0)
    assert committed(world, project) == 3 * CREDIT
    lender = world.member(0)
    world.container(job, world.machine(lender), T0, T0 + 10 * MINUTE, role="driver")
    world.end_job(job, T0 + 10 * MINUTE)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 15 * MINUTE)
    paid = world.balances(project).using_ucr
    assert paid == world.balances(lender).sharing_ucr == committed(world, project) > 0
    assert world.balances(member) == ledger.Balances(0, 0, 15 * CREDIT, 15 * CREDIT, 0, 15 * CREDIT)
    assert world.balances(project).balance_ucr == 20 * CREDIT - paid
    assert world.violations() == []


def test_twenty_members_with_ten_submissions_each_at_once_break_nothing(world: World) -> None:
    """An account is short for some, a budget for others, a cap for the rest: none of them is passed."""
    owner = world.member(0)
    lab = world.project(owner, budget_ucr=90 * CREDIT)
    parts = [
        world.project(owner, 60 * CREDIT, 50 * CREDIT, lab),
        world.project(owner, 30 * CREDIT, 80 * CREDIT, lab),
    ]
    members = [world.member(0) for _ in range(20)]
    for number, member in enumerate(members):
        world.joins(parts[number % 2], member, cap_ucr=4 * CREDIT if number < 6 else None)
    answers: Counter[str] = Counter()

    def ask(number: int) -> str:
        member = number % 20
        try:
            submit(members[member], parts[member % 2], 700_000)
        except OverBudgetError as error:
            return error.of if error.available_ucr < 700_000 else "wrong"
        except NotEnoughCreditError as error:
            return "balance" if error.available_ucr < 700_000 else "wrong"
        return "held"

    with ThreadPoolExecutor(16) as threads:
        answers.update(threads.map(ask, range(200)))

    assert set(answers) == {"held", "budget", "cap", "balance"}
    assert answers["held"] == world.one("SELECT count(*) FROM hold") == 71 + 42
    assert committed(world, lab) == sum(committed(world, part) for part in parts) == answers["held"] * 700_000
    assert (
        world.one(
            "SELECT max(held_ucr) FROM (SELECT sum(amount_ucr) AS held_ucr FROM hold JOIN job USING (job_id)"
            " JOIN project_member m ON m.project_id = job.project_id AND m.user_id = job.user_id"
            " WHERE month_cap_ucr IS NOT NULL GROUP BY job.user_id) x"
        )
        == 5 * 700_000
    )
    assert world.violations() == []


@pytest.mark.parametrize("leaves", ["before it runs", "while it runs", "after its end", "after the capture"])
def test_who_leaves_at_any_point_leaves_the_payer_as_it_is(world: World, leaves: str) -> None:
    owner, member, lender = world.member(0), world.member(), world.member(0)
    project = world.project(owner, 20 * CREDIT)
    world.joins(project, member)
    job = world.job(member, 3 * CREDIT, project=project)
    machine = world.machine(lender)
    world.mark(T0 + 60 * MINUTE)

    def leave_now(point: str) -> None:
        if point == leaves:
            with database.transaction() as cursor:
                projects.remove_member(cursor, project, member)

    leave_now("before it runs")
    container = world.container(job, machine, T0, role="driver")
    leave_now("while it runs")
    settle(T0 + 5 * MINUTE)
    world.end_container(container, T0 + 8 * MINUTE)
    world.end_job(job, T0 + 8 * MINUTE)
    leave_now("after its end")
    settle(T0 + 15 * MINUTE)
    leave_now("after the capture")
    settle(T0 + 20 * MINUTE)
    assert world.balances(project).using_ucr == world.hold(job).captured_ucr > 0
    assert world.balances(member).balance_ucr == 15 * CREDIT
    with pytest.raises(ProjectRefusesError, match="may not spend"):
        submit(member, project, 1)
    assert world.violations() == []


def test_expiry_stops_new_holds_and_lets_what_runs_end(world: World) -> None:
    owner = world.member(0)
    project = world.project(owner, 20 * CREDIT, end=T0 + 5 * MINUTE)
    job = world.job(owner, 3 * CREDIT, project=project)
    world.container(job, world.machine(world.member(0)), T0, T0 + 9 * MINUTE, role="driver")
    for ask in (
        lambda cursor: ledger.extend_hold(cursor, job, 4 * CREDIT, "more", T0 + 5 * MINUTE),
        lambda cursor: submit(owner, project, 1, T0 + 5 * MINUTE),
    ):
        with pytest.raises(ProjectRefusesError, match="has ended"), database.transaction() as cursor:
            ask(cursor)
    with pytest.raises(ProjectRefusesError, match="has not begun"):
        submit(owner, world.project(owner, CREDIT, start=T0 + 1), 1)
    world.end_job(job, T0 + 9 * MINUTE)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 15 * MINUTE)
    ran = 9 * MINUTE
    assert world.hold(job).captured_ucr == RATE * (WEIGHT + GIB_WEIGHT) * ran // 3_600_000 // 10**6
    assert world.violations() == []


def test_a_cap_is_of_one_month_and_counts_what_came_back(world: World) -> None:
    owner, member = world.member(0), world.member(0)
    project = world.project(owner, 90 * CREDIT)
    world.joins(project, member, cap_ucr=3 * CREDIT)
    first = submit(member, project, 2 * CREDIT)
    with pytest.raises(OverBudgetError) as refused:
        submit(member, project, 2 * CREDIT)
    assert (refused.value.of, refused.value.available_ucr) == ("cap", CREDIT)
    with pytest.raises(OverBudgetError), database.transaction() as cursor:
        ledger.extend_hold(cursor, first, 4 * CREDIT, "more", T0)
    submit(member, project, 3 * CREDIT, T0 + 31 * DAY)
    with database.transaction() as cursor:
        ledger.release_hold(cursor, first, "r", T0)
    submit(member, project, 3 * CREDIT)
    submit(owner, project, 9 * CREDIT)
    assert world.one("SELECT month_of(%s)", T0) == 1_698_796_800_000, "2023-11-01T00:00Z"
    assert world.violations() == []


def test_a_sub_project_is_never_above_its_parent(world: World) -> None:
    owner = world.member(0)
    lab = world.project(owner, 50 * CREDIT, 10 * CREDIT, end=T0 + DAY)
    below = world.project(owner, 50 * CREDIT, 8 * CREDIT, lab, end=T0 + DAY)
    world.job(owner, 5 * CREDIT, project=lab)
    with pytest.raises(OverBudgetError) as refused:
        submit(owner, below, 6 * CREDIT)
    assert refused.value.available_ucr == 5 * CREDIT
    world.job(owner, 5 * CREDIT, project=below)
    assert (committed(world, lab), committed(world, below)) == (10 * CREDIT, 5 * CREDIT)
    for project, budget, start, end, field in (
        (below, 11 * CREDIT, T0, T0 + DAY, "budget"),
        (below, 8 * CREDIT, T0 - 1, T0 + DAY, "start"),
        (below, 8 * CREDIT, T0, T0 + DAY + 1, "end"),
        (lab, 10 * CREDIT, T0, T0 + DAY - 1, "end"),
        (lab, 9 * CREDIT, T0, T0 + DAY, "budget"),
    ):
        with pytest.raises(BadInputError) as wrong, database.transaction() as cursor:
            projects.set_budget(cursor, project, "", budget, start, end)
        assert set(wrong.value.errors) == {field}
    with pytest.raises(BadInputError):
        world.project(owner, parent=below)
    with pytest.raises(ConflictError), database.transaction() as cursor:
        projects.create(cursor, new_id(), f"p{int(lab, 16)}", "", None, owner, 1, T0, T0 + 1)
    assert world.violations() == []


def test_a_transfer_stays_within_the_balance_and_the_day_s_limit(world: World) -> None:
    owner = world.member(15 * CREDIT)
    project = world.project(owner)
    world.transfer(owner, project, 4 * CREDIT, limit=10 * CREDIT)
    with pytest.raises(OverLimitError, match=r"6\.000000 are left"):
        world.transfer(owner, project, 7 * CREDIT, limit=10 * CREDIT)
    world.transfer(owner, project, 7 * CREDIT, T0 + DAY, limit=10 * CREDIT)
    with pytest.raises(NotEnoughCreditError):
        world.transfer(owner, project, 5 * CREDIT)
    world.transfer(project, owner, 1 * CREDIT)
    world.job(owner, 10 * CREDIT, project=project)
    with pytest.raises(NotEnoughCreditError):
        world.transfer(project, owner, 1)
    assert (world.balances(owner).balance_ucr, world.balances(project).balance_ucr) == (
        5 * CREDIT,
        10 * CREDIT,
    )
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)
    assert world.violations() == []


def test_a_transfer_with_a_key_that_was_used_changes_nothing(world: World) -> None:
    owner = world.member(15 * CREDIT)
    project = world.project(owner)
    request = [owner, project, CREDIT, "why", f"transfer:{owner}:{project}:1", owner, 10 * CREDIT]
    with database.transaction() as cursor:
        assert projects.transfer(cursor, *request)
        assert not projects.transfer(cursor, *request)
    request[2] = 2 * CREDIT
    with pytest.raises(ledger.KeyReusedError), database.transaction() as cursor:
        projects.transfer(cursor, *request)
    assert world.balances(owner).balance_ucr == 14 * CREDIT


def test_many_projects_have_no_more_refunds_than_who_submits(world: World) -> None:
    """A lost attempt's refund from the treasury is bounded for its submitter, whoever pays."""
    member, lender = world.member(0), world.member(0)
    machine = world.machine(lender)
    for _ in range(4):
        project = world.project(member, 20 * CREDIT)
        job = world.job(member, 9 * CREDIT, project=project)
        world.container(job, world.machine(world.member(0)), T0, T0 + 4 * MINUTE, vcores=40)
        world.container(job, machine, T0, T0 + 4 * MINUTE, "preempted", role="driver")
        world.end_job(job, T0 + 4 * MINUTE, reason_code="pool_failure")
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 10 * MINUTE)
    assert world.one("SELECT sum(amount_ucr) FROM refund") == 5 * CREDIT
    assert world.one("SELECT count(*) FROM refund") == 4
    assert world.violations() == []


def test_members_make_nothing_of_losing_their_own_machines(world: World) -> None:
    member = world.member(0)
    project = world.project(member, 20 * CREDIT)
    job = world.job(member, 9 * CREDIT, project=project)
    driver, other = world.machine(member), world.machine(member)
    first = world.container(job, driver, T0, role="driver", vcores=3)
    second = world.container(job, other, T0, vcores=5)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)
    assert world.balances(member).sharing_ucr == world.balances(project).using_ucr > 0
    for container in (first, second):
        world.end_container(container, T0 + 6 * MINUTE, "node_lost")
    world.end_job(job, T0 + 7 * MINUTE, reason_code="pool_failure")
    settle(T0 + 10 * MINUTE)
    together = world.balances(member).balance_ucr + world.balances(project).balance_ucr
    assert together == 20 * CREDIT, "what they had before"
    assert world.one("SELECT return_ucr FROM refund") > 0, (
        "the lost machine's owner gives back what it earned"
    )
    assert world.violations() == []


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE project SET committed_ucr = committed_ucr + 1 WHERE parent_id IS NULL", "project_tree"),
        ("UPDATE project SET budget_ucr = budget_ucr + 1 WHERE parent_id IS NOT NULL", "project_tree"),
        ("UPDATE project_month SET cap_ucr = 1", "project_cap"),
        ("DELETE FROM project_month", "project_cap"),
        ("UPDATE job SET project_id = NULL", "payer"),
        ("UPDATE account_transfer SET limit_ucr = 1", "transfer"),
        ("UPDATE account_transfer SET giver = (SELECT max(user_id) FROM member)", "transfer"),
        ("UPDATE account SET transferred_ucr = transferred_ucr + 1 WHERE project_id IS NOT NULL", "account"),
    ],
)
def test_what_is_changed_by_hand_is_named(world: World, statement: str, named: str) -> None:
    owner, member = world.member(), world.member()
    lab = world.project(owner, CREDIT, 9 * CREDIT)
    below = world.project(owner, CREDIT, 9 * CREDIT, lab)
    world.joins(below, member, cap_ucr=CREDIT)
    world.job(member, CREDIT, project=below)
    assert world.violations() == []
    world.sql("SET session_replication_role = replica")
    world.sql(statement)
    assert named in {row.invariant for row in world.broken_invariants()}


def test_the_application_writes_none_of_it_itself(world: World) -> None:
    for table in ("project", "project_member", "project_month", "account_transfer"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), database.transaction() as cursor:
            cursor.execute(f"DELETE FROM {table}")
