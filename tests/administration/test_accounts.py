"""Suspending and reopening an account: jobs, machines, what is in the audit, and who cannot be suspended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from ledger_world import SPEC, T0, World

from market.administration import accounts
from market.administration.accounts import CANCEL, FINISH, OpenJobsError
from market.jobs.life import kill
from market.kit import database, settings
from market.kit.errors import BadInputError, ConflictError, RoleMissingError
from market.notifications import feed, outbox
from market.people import suspension
from market.people.logins import Login
from market.people.member import Member

pytestmark = pytest.mark.database


class Sessions:
    """The logins of this test: it notes whose sessions are ended."""

    def __init__(self) -> None:
        self.ended: list[int] = []

    def check(self, username: str, password: str) -> Login | None:
        return Login(2, username, "", frozenset()) if password == "right" else None

    def end_sessions(self, login_id: int) -> None:
        self.ended.append(login_id)


@pytest.fixture(autouse=True)
def killed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note what would be killed at YARN."""
    tags: list[str] = []
    monkeypatch.setattr(kill, "applications", tags.append)
    return tags


@pytest.fixture
def admin(world: World) -> Member:
    return Member(world.member(), "user1", "", is_admin=True)


def suspend(admin: Member, user_id: str, jobs: str = FINISH) -> Sessions:
    logins = Sessions()
    accounts.suspend(logins, admin, user_id, "sells what is not his", jobs)  # type: ignore[arg-type]
    return logins


def test_sessions_end_machines_drain_and_jobs_finish(world: World, admin: Member) -> None:
    user_id = world.member()
    job, machine = world.job(user_id), world.machine(user_id)
    assert suspend(admin, user_id).ended == [2]
    with pytest.raises(suspension.AccountSuspendedError):
        suspension.refuse(2)
    state, reason = world.sql("SELECT state, reason FROM machine WHERE machine_id = %s", machine)[0]
    assert (state, reason) == (
        "draining",
        "the account of its owner is suspended: sells what is not his",
    )
    assert world.one("SELECT ended_ms FROM job WHERE job_id = %s", job) is None
    line = world.sql("SELECT actor, subject, detail FROM audit")[0]
    assert tuple(line[:2]) == ("user1", user_id)
    assert "sells what is not his" in line.detail


def test_open_jobs_are_cancelled_if_that_is_asked_and_nobody_else_s(
    world: World, admin: Member, killed: list[str]
) -> None:
    user_id, other = world.member(), world.member()
    jobs, kept = [world.job(user_id) for _ in range(2)], world.job(other)
    suspend(admin, user_id, CANCEL)
    for job in jobs:
        code, reason = world.sql("SELECT stop_code, stop_reason FROM job WHERE job_id = %s", job)[0]
        assert code == "cancelled"
        assert "your account is suspended: sells what is not his" in reason
    assert set(killed) == set(jobs)
    assert world.one("SELECT ended_ms FROM job WHERE job_id = %s", kept) is None
    outbox.run_pass()
    told = [event.sentence for event in feed.after(Member(user_id, "user2", ""), 0, 100)]
    assert sum("sells what is not his" in sentence for sentence in told) == 2


def test_a_reopened_account_may_act_again(world: World, admin: Member) -> None:
    user_id = world.member()
    suspend(admin, user_id)
    assert accounts.reopen(admin, user_id, "a mistake")["state"] == "active"
    assert suspension.refuse(2) == 1
    assert "a mistake" in world.one("SELECT detail FROM audit ORDER BY audit_id DESC LIMIT 1")
    with pytest.raises(ConflictError):
        accounts.reopen(admin, user_id, "once more")


def test_nobody_suspends_himself_or_the_market_and_no_member_anybody(world: World, admin: Member) -> None:
    with pytest.raises(ConflictError):
        suspend(admin, admin.user_id)
    service, user_id = world.member(), world.member()
    world.sql("UPDATE member SET username = %s WHERE user_id = %s", settings.load().service.admin, service)
    with pytest.raises(ConflictError):
        suspend(admin, service)
    for act in (accounts.reopen, lambda *rest: accounts.suspend(Sessions(), *rest)):  # type: ignore[arg-type]
        with pytest.raises(RoleMissingError):
            act(Member(user_id, "user3", ""), admin.user_id, "why")
    assert world.one("SELECT count(*) FROM member WHERE suspended_ms IS NOT NULL") == 0


def deactivate(member: Member, password: str = "right", cancel_jobs: bool = False) -> dict[str, Any]:
    return accounts.deactivate(Sessions(), member, password, cancel_jobs)  # type: ignore[arg-type]


def test_who_deactivates_his_account_is_out_and_an_administrator_reopens_it(
    world: World, admin: Member
) -> None:
    user_id = world.member()
    member, machine = Member(user_id, "user2", ""), world.machine(user_id)
    with pytest.raises(BadInputError) as wrong:
        deactivate(member, "wrong")
    assert set(wrong.value.errors) == {"password"}
    assert suspension.refuse(2) == 0
    logins = Sessions()
    done = accounts.deactivate(logins, member, "right")  # type: ignore[arg-type]
    assert (done["cancelled_jobs"], done["draining_machines"], logins.ended) == (0, 1, [2])
    with pytest.raises(suspension.AccountSuspendedError, match="deactivated by its owner"):
        suspension.refuse(2)
    assert world.one("SELECT state FROM machine WHERE machine_id = %s", machine) == "draining"
    assert world.balances(user_id).balance_ucr == 15_000_000
    noted = world.sql("SELECT kind, actor, subject FROM audit")
    assert [tuple(line) for line in noted] == [("account", "user2", user_id)]
    assert accounts.reopen(admin, user_id, "is back")["state"] == "active"
    assert suspension.refuse(2) == 1, "tokens of before open nothing"


def test_open_jobs_are_named_and_cancelled_only_if_that_is_said(
    world: World, admin: Member, killed: list[str]
) -> None:
    user_id = world.member(40_000_000)
    member = Member(user_id, "user2", "")
    jobs, ended = [world.job(user_id) for _ in range(6)], world.job(user_id)
    world.end_job(ended, T0)
    with pytest.raises(OpenJobsError) as asked:
        deactivate(member)
    assert (asked.value.status, asked.value.members) == (409, {"open_jobs": 6})
    assert "6 of your jobs have not ended: digits, digits" in asked.value.detail
    assert "and 1 more" in asked.value.detail
    assert (suspension.refuse(2), killed) == (0, [])
    assert deactivate(member, cancel_jobs=True)["cancelled_jobs"] == 6
    assert set(killed) == set(jobs)
    stopped = world.sql("SELECT DISTINCT stop_reason FROM job WHERE ended_ms IS NULL")
    assert [row[0] for row in stopped] == ["cancelled by user2: the account is deactivated"]


def test_a_submission_and_a_deactivation_at_once_leave_no_job_behind(world: World, admin: Member) -> None:
    """A submission holds the member's row: the deactivation waits for it, and finds its job."""
    user_id = world.member()
    with ThreadPoolExecutor(1) as thread:
        with database.transaction() as cursor:
            suspension.refuse_act(cursor, user_id)
            asked = thread.submit(deactivate, Member(user_id, "user2", ""))
            wait([asked], timeout=0.5)
            assert not asked.done()
            cursor.execute(
                "INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro,"
                " weight_micro, gib_weight_micro, status, added_ms)"
                " VALUES (%s, %s, 'late', %s, 'cpu', 1, 1, 1, 1, 'submitted', 1)",
                ["d" * 32, user_id, SPEC],
            )
        with pytest.raises(OpenJobsError, match="late"):
            asked.result(timeout=30)
    assert suspension.refuse(2) == 0


def test_the_market_s_own_accounts_do_not_leave(world: World) -> None:
    for name in (settings.load().service.admin, settings.load().service.account):
        with pytest.raises(ConflictError, match="works by this account"):
            deactivate(Member(world.member(), name, ""))
