"""Suspending and reopening an account: jobs, machines, what is in the audit, and who cannot be suspended."""

from __future__ import annotations

import pytest
from ledger_world import World

from market.administration import accounts
from market.administration.accounts import CANCEL, FINISH
from market.jobs.life import kill
from market.kit import settings
from market.kit.errors import ConflictError, RoleMissingError
from market.notifications import feed, outbox
from market.people import suspension
from market.people.member import Member

pytestmark = pytest.mark.database


class Sessions:
    """The logins of this test: it notes whose sessions are ended."""

    def __init__(self) -> None:
        self.ended: list[int] = []

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
