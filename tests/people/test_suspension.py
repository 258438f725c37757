"""Suspended accounts: what speaks for one is not believed, and what it had begun is there to be seen."""

from __future__ import annotations

import pytest
from ledger_world import World

from market.kit import database
from market.kit.errors import NotLoggedInError
from market.people import suspension
from market.people.member import Member

pytestmark = pytest.mark.database


def people(world: World) -> tuple[Member, Member]:
    """Return an administrator and a member."""
    world.member()
    user_id = world.member()
    return Member(f"{1:032x}", "user1", "", is_admin=True), Member(user_id, "user2", "")


def suspend(admin: Member, member: Member, reason: str = "spam") -> None:
    with database.transaction() as cursor:
        suspension.begin(cursor, admin, member, reason, "suspended")


def test_a_suspended_account_is_refused_with_the_reason_and_another_is_not(world: World) -> None:
    admin, member = people(world)
    assert suspension.refuse(2) == 0
    suspend(admin, member)
    with pytest.raises(suspension.AccountSuspendedError) as told:
        suspension.refuse(2)
    assert "spam." in told.value.detail
    assert told.value.status == 401
    assert suspension.refuse(1) == 0
    assert suspension.refuse(999) == 0, "a login without an account"


def test_a_token_of_before_a_suspension_opens_nothing_after_it(world: World) -> None:
    admin, member = people(world)
    before = {suspension.CLAIM: suspension.refuse(2)}
    suspension.refuse_token({}, 2)  # issued by a release that knew no suspensions
    suspend(admin, member)
    with database.transaction() as cursor:
        assert suspension.end(cursor, admin, member, "a mistake")
    for old in (before, {}):
        with pytest.raises(NotLoggedInError):
            suspension.refuse_token(old, 2)
    suspension.refuse_token({suspension.CLAIM: suspension.refuse(2)}, 2)
    with database.transaction() as cursor:
        assert not suspension.end(cursor, admin, member, "again"), "it is open"
    assert suspension.refuse(2) == 1


def test_what_a_suspended_member_s_request_would_add_is_refused(world: World) -> None:
    admin, member = people(world)
    with database.transaction() as cursor:
        suspension.refuse_act(cursor, member.user_id)
    suspend(admin, member)
    with pytest.raises(suspension.AccountSuspendedError), database.transaction() as cursor:
        suspension.refuse_act(cursor, member.user_id)


def test_a_second_suspension_changes_the_reason_and_not_the_time(world: World) -> None:
    admin, member = people(world)
    suspend(admin, member)
    since = world.one("SELECT suspended_ms FROM member WHERE username = 'user2'")
    suspend(admin, member, "fraud")
    row = world.sql("SELECT suspended_ms, suspended_because FROM member WHERE username = 'user2'")[0]
    assert tuple(row) == (since, "fraud")
    assert world.one("SELECT count(*) FROM audit WHERE kind = 'administration'") == 2
