"""The treasury over time: what it gave, to whom and why, as the ledger has it."""

from __future__ import annotations

import pytest
from ledger_world import World

from market.administration import treasury
from market.credits import grants
from market.kit import clock
from market.kit.errors import RoleMissingError
from market.people.member import Member

pytestmark = pytest.mark.database
ADMIN = Member("a" * 32, "admin", "", is_admin=True)


def test_a_day_has_what_was_given_in_it_by_what_it_was_for(world: World) -> None:
    giver = world.member(at=clock.now_ms())
    user_id = world.member(credits_ucr=0)
    world.grant(user_id, 7_000_000, at=clock.now_ms() - 40 * 86_400_000)  # before the first day
    grants.give(giver, user_id, "2.5", "for the review", giver="user1")
    days = treasury.by_day(ADMIN, 30)
    assert len(days) == 30
    today = days[-1].to_wire()
    assert (today["signup"], today["grants"], today["issued"]) == ("15.000000", "2.500000", "17.500000")
    assert sum(day.issued_ucr for day in days) == 17_500_000
    assert treasury.balance(ADMIN) == "-24.500000"
    first = treasury.gifts(ADMIN, limit=1)[0]
    assert (first["to"], first["by"], first["amount"]) == ("user2", "user1", "2.500000")
    assert first["reason"] == "for the review"
    assert [gift["by"] for gift in treasury.gifts(ADMIN, limit=10)][1] is None, "the market itself"


def test_nobody_else_sees_it() -> None:
    member = Member("b" * 32, "bob", "")
    with pytest.raises(RoleMissingError):
        treasury.by_day(member, 1)
    with pytest.raises(RoleMissingError):
        treasury.balance(member)
    with pytest.raises(RoleMissingError):
        treasury.gifts(member, 1)
