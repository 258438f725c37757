"""People as administrators see them: found, paged, with what they have and do."""

from __future__ import annotations

import pytest
from ledger_world import T0, World

from market.administration import users
from market.kit.errors import NotFoundError, RoleMissingError
from market.people.member import Member

pytestmark = pytest.mark.database
ADMIN = Member("a" * 32, "admin", "", is_admin=True)


def names(found: users.Users) -> list[str]:
    return [user["username"] for user in found.users]


def test_people_come_newest_first_behind_a_cursor_each_once(world: World) -> None:
    for _ in range(5):
        world.member()
    pages, after = [], 0
    while True:
        found = users.list_users(ADMIN, limit=2, after=after)
        pages.append(names(found))
        if found.cursor is None:
            break
        after = found.cursor
    assert pages == [["user5", "user4"], ["user3", "user2"], ["user1"]]


def test_people_are_found_by_how_name_or_address_begins_and_by_state(world: World) -> None:
    for _ in range(3):
        world.member()
    world.sql("UPDATE member SET email = 'Zoe@example.org' WHERE username = 'user2'")
    world.sql(
        "UPDATE member SET suspended_ms = 1, suspended_by = 'a', suspended_because = 'b'"
        " WHERE username = 'user3'"
    )
    assert names(users.list_users(ADMIN, search="USER1")) == ["user1"]
    assert names(users.list_users(ADMIN, search="zoe@")) == ["user2"]
    assert names(users.list_users(ADMIN, search="ser")) == [], "only how it begins"
    assert names(users.list_users(ADMIN, search="user%")) == [], "no sign stands for others"
    assert names(users.list_users(ADMIN, state="suspended")) == ["user3"]
    assert names(users.list_users(ADMIN, state="active")) == ["user2", "user1"]


def test_a_person_is_shown_with_balances_and_what_is_open(world: World) -> None:
    user_id = world.member(credits_ucr=15_000_000)
    world.job(user_id)
    world.end_job(world.job(user_id), T0)
    world.machine(user_id)
    gone = world.machine(user_id)
    world.sql("UPDATE machine SET state = 'left', left_ms = 1 WHERE machine_id = %s", gone)
    held = world.one("SELECT held_ucr FROM account WHERE user_id = %s", user_id)
    shown = users.find(ADMIN, user_id)
    assert (shown["open_jobs"], shown["live_machines"], shown["balance"]) == (1, 1, "15.000000")
    assert shown["held"] == f"{held / 1e6:.6f}"
    assert shown["available"] == f"{(15_000_000 - held) / 1e6:.6f}"
    assert (shown["state"], shown["last_login_time"]) == ("active", None)


def test_nobody_else_sees_them(world: World) -> None:
    user_id = world.member()
    member = Member(user_id, "user1", "")
    with pytest.raises(RoleMissingError):
        users.list_users(member)
    with pytest.raises(RoleMissingError):
        users.find(member, user_id)
    with pytest.raises(NotFoundError):
        users.find(ADMIN, "f" * 32)
