"""Jobs that a project pays: who may submit and extend them, and what they say of payer and submitter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ledger_world import World

from market.credits import ledger, projects, receipt, statement
from market.credits.project_errors import OverBudgetError, ProjectRefusesError
from market.jobs import store
from market.jobs.intake.cancel import cancel
from market.jobs.intake.extend import extend
from market.jobs.intake.quote import quote
from market.jobs.intake.retry import retry
from market.jobs.intake.submit import submit
from market.jobs.life import budget
from market.kit import clock, database
from market.kit.errors import BadInputError, NotEnoughCreditError
from market.people.member import Member

pytestmark = pytest.mark.database

BODY = {"root_path": "digits", "core_num": 2, "machine_type": "cpu", "max_duration": 600}
DAY = 86_400_000
CREDIT = 1_000_000


@pytest.fixture
def member(world: World, lone_program: None) -> Member:
    """Somebody without a credit of his own, whose program is there."""
    user_id = world.member(0)
    return Member(user_id, world.one("SELECT username FROM member WHERE user_id = %s", user_id), "")


@pytest.fixture
def owner(world: World) -> str:
    return world.member(0)


@pytest.fixture
def project(world: World, owner: str, member: Member) -> str:
    now = clock.now_ms()
    made = world.project(owner, 20 * CREDIT, start=now - DAY, end=now + DAY)
    world.joins(made, member.user_id)
    return made


@pytest.fixture
def body(world: World, project: str) -> dict[str, Any]:
    return BODY | {"project": world.one("SELECT name FROM project WHERE project_id = %s", project)}


def leave(project: str, member: Member) -> None:
    with database.transaction() as cursor:
        projects.remove_member(cursor, project, member.user_id)


def test_the_project_pays_and_both_names_are_told(
    world: World, member: Member, project: str, body: dict[str, Any]
) -> None:
    with pytest.raises(NotEnoughCreditError):
        submit(member, BODY)
    dry = quote(member, body)["quote"]
    answer = submit(member, body)
    assert answer["quote"] == dry
    job = store.visible_job(member, answer["job_id"])
    assert store.to_wire(job)["project"] == body["project"]
    assert world.balances(project).held_ucr == job.hold_ucr > 0
    assert world.balances(member.user_id).held_ucr == 0
    with database.transaction() as cursor:
        told = receipt.receipt(cursor, job.job_id)
    assert (told["payer"], told["submitter"]) == (body["project"], member.username)
    assert world.violations() == []


def test_a_job_that_its_owner_pays_names_him_twice(world: World, member: Member) -> None:
    world.grant(member.user_id, 5 * CREDIT)
    job_id = submit(member, BODY)["job_id"]
    with database.transaction() as cursor:
        told = receipt.receipt(cursor, job_id)
    assert (told["payer"], told["submitter"]) == (member.username, member.username)
    assert store.to_wire(store.visible_job(member, job_id))["project"] is None


@pytest.mark.parametrize("ask", [submit, quote])
def test_who_may_not_spend_is_told_so_on_the_field(
    world: World, owner: str, member: Member, project: str, body: dict[str, Any], ask: Any
) -> None:
    now = clock.now_ms()
    ended = world.project(owner, CREDIT, start=now - DAY, end=now - 1)
    early = world.project(owner, CREDIT, start=now + DAY, end=now + 2 * DAY)
    watched = world.project(owner, CREDIT, start=now - DAY, end=now + DAY)
    for one in (ended, early):
        world.joins(one, member.user_id)
    world.joins(watched, member.user_id, "viewer")
    stranger = world.project(owner, CREDIT, start=now - DAY, end=now + DAY)
    for one, words in (
        (ended, "has ended"),
        (early, "has not begun"),
        (watched, "a viewer"),
        (stranger, "none of your projects"),
        (None, "none of your projects"),
    ):
        name = world.one("SELECT name FROM project WHERE project_id = %s", one) if one else "nowhere"
        with pytest.raises(BadInputError, match=words) as refused:
            ask(member, body | {"project": name})
        assert set(refused.value.errors) == {"project"}


def test_a_budget_or_cap_that_is_short_is_not_enough_credit(
    world: World, member: Member, project: str, body: dict[str, Any]
) -> None:
    world.joins(project, member.user_id, cap_ucr=1)
    with pytest.raises(OverBudgetError, match="your cap of this month") as refused:
        submit(member, body)
    assert refused.value.status == 402
    assert refused.value.members["available"] == "0.000001"
    assert world.one("SELECT count(*) FROM job") == 0


def test_a_job_is_extended_and_run_again_at_the_project_s_cost_by_its_members_only(
    world: World, member: Member, project: str, body: dict[str, Any]
) -> None:
    job_id = submit(member, body)["job_id"]
    held = world.balances(project).held_ucr
    extend(member, job_id, {"max_duration": 1200})
    assert world.balances(project).held_ucr == 2 * held
    open_job = submit(member, body)["job_id"]
    cancel(member, job_id)
    again = retry(member, job_id, {})["job_id"]
    assert world.hold(again).user_id == project
    leave(project, member)
    with pytest.raises(BadInputError, match="none of your projects"):
        retry(member, job_id, {})
    with pytest.raises(ProjectRefusesError):
        extend(member, open_job, {"max_duration": 1200})
    cancel(member, open_job)
    cancel(member, again)
    assert world.balances(project).held_ucr == 0
    assert world.balances(member.user_id) == ledger.Balances(0, 0, 0, 0, 0, 0)
    assert world.violations() == []


@pytest.mark.parametrize("happens", ["nothing", "a cap", "he leaves"])
def test_a_hold_grows_by_itself_as_far_as_the_project_allows(
    world: World, member: Member, project: str, body: dict[str, Any], happens: str
) -> None:
    limits = {"max_credits": "0.100000", "auto_extend_to": "0.300000"}
    if happens == "a cap":
        world.joins(project, member.user_id, cap_ucr=120_000)
    job_id = submit(member, body | limits)["job_id"]
    world.stand(job_id, "running")
    if happens == "he leaves":
        leave(project, member)
    job = store.visible_job(member, job_id)
    assert budget.over(job, 95_000) is None
    grown = {"nothing": 150_000, "a cap": 120_000, "he leaves": 100_000}[happens]
    assert world.hold(job_id).amount_ucr == grown
    over = budget.over(replace(store.visible_job(member, job_id)), grown)
    assert (over is None) == (happens == "nothing")
    assert world.violations() == []


def test_a_statement_says_who_pays_and_who_submitted(world: World, member: Member, project: str) -> None:
    job = world.job(member.user_id, CREDIT, clock.now_ms(), project=project)
    world.sql(
        "INSERT INTO journal (key, kind, at_ms, job_id, interval_id) VALUES ('c', 'capture', 1, %s, 1);"
        " INSERT INTO transfer SELECT journal_id, 1, %s, 'pool', 7 FROM journal WHERE key = 'c'",
        *(job, project),
    )
    name = world.one("SELECT name FROM project WHERE project_id = %s", project)
    lines = {line["kind"]: line for line in statement.statement(project)}
    assert (lines["capture"]["payer"], lines["capture"]["submitter"]) == (name, member.username)
    assert lines["transfer"]["words"].startswith("Transfer from user")
    assert lines["transfer"]["note"] == "for work"
    assert statement.statement(member.user_id) == []
