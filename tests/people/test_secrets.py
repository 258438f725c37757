"""A member's secrets: kept encrypted, named to him, and given to his own jobs only."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken
from ledger_world import World
from odd_texts import ODD

from market.kit import settings
from market.kit.errors import BadInputError, ConflictError, NotFoundError, OverLimitError
from market.kit.paging import Page
from market.ops.run import secrets as generated
from market.people import secrets
from market.people.member import Member

pytestmark = pytest.mark.database


@pytest.fixture
def member(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Member:
    stack = settings.load(tmp_path)
    generated.generate(stack.paths)
    monkeypatch.setattr(secrets, "load", lambda: stack)
    return another(world)


def another(world: World) -> Member:
    user_id = world.member()
    return Member(user_id, world.one("SELECT username FROM member WHERE user_id = %s", user_id), "")


def test_a_secret_comes_back_byte_for_byte_to_its_owner_s_job_alone(world: World, member: Member) -> None:
    value = f"{ODD}\n\t'quoted' \u2028 \x01"
    secrets.put(member, "DB_PASSWORD", value)
    assert secrets.values(member.username, ["DB_PASSWORD"]) == {"DB_PASSWORD": value}
    with pytest.raises(ConflictError, match="DB_PASSWORD"):
        secrets.values(another(world).username, ["DB_PASSWORD"])


def test_no_table_holds_the_value_in_a_form_that_can_be_read(world: World, member: Member) -> None:
    secrets.put(member, "API_KEY", "swordfish")
    sealed = bytes(world.one("SELECT sealed FROM member_secret WHERE user_id = %s", member.user_id))
    for form in (b"swordfish", base64.b64encode(b"swordfish"), b"swordfish".hex().encode()):
        assert form not in sealed


def test_a_row_stands_for_no_other_member_and_no_other_name(world: World, member: Member) -> None:
    """Whoever can write rows, but has no key, cannot give himself another's secret."""
    secrets.put(member, "MINE", "swordfish")
    thief = another(world)
    world.sql(
        "INSERT INTO member_secret SELECT %s, name, sealed, bytes, modified_ms FROM member_secret"
        " WHERE user_id = %s",
        thief.user_id,
        member.user_id,
    )
    world.sql("UPDATE member_secret SET name = 'OTHER' WHERE user_id = %s", member.user_id)
    for one, name in ((thief, "MINE"), (member, "OTHER")):
        with pytest.raises(ConflictError):
            secrets.values(one.username, [name])


def test_secrets_are_listed_by_name_and_go(member: Member) -> None:
    for name in ("B", "A"):
        secrets.put(member, name, "x")
    secrets.put(member, "B", "newer")
    listed = secrets.list_secrets(member, Page(order_by="name", descending=False))
    assert ([one.name for one in listed.rows], listed.total) == (["A", "B"], 2)
    assert not hasattr(listed.rows[0], "value")
    secrets.delete(member, "A")
    with pytest.raises(NotFoundError):
        secrets.delete(member, "A")
    assert secrets.problems(member.user_id, ["A", "B"]) == [
        "You have no secret A. Store it with PUT /secrets/A."
    ]
    with pytest.raises(ConflictError, match="secret A is not there"):
        secrets.values(member.username, ["A", "B"])


@pytest.mark.parametrize(
    "name", ["", "1A", "a-b", "ü", "A B", "PATH", "SPARK_X", "LD_PRELOAD", "A\n", "x" * 129]
)
def test_a_name_that_no_variable_may_have_is_refused(member: Member, name: str) -> None:
    with pytest.raises(BadInputError) as caught:
        secrets.put(member, name, "x")
    assert list(caught.value.errors) == ["name"]


def test_their_size_and_number_are_bounded(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInputError, match="at most 32768"):
        secrets.put(member, "LARGE", "ü" * 16385)
    for name in ("ONE", "TWO"):
        secrets.put(member, name, "x" * 32768)
    assert "together" in secrets.problems(member.user_id, ["ONE", "TWO"])[0]
    assert secrets.problems(member.user_id, ["ONE"]) == []
    monkeypatch.setattr(secrets, "_MOST", 2)
    secrets.put(member, "ONE", "again")
    with pytest.raises(OverLimitError):
        secrets.put(member, "THREE", "x")


def reseal(place: Path) -> int:
    return secrets.reseal(lambda key: generated.replace(place, key))


def test_a_new_key_takes_the_old_one_s_place_for_every_secret(
    world: World, member: Member, tmp_path: Path
) -> None:
    place = tmp_path / "secrets" / secrets.KEY
    other = another(world)
    secrets.put(member, "A", "one")
    secrets.put(other, "A", "two")
    old = place.read_text().strip()
    before = {bytes(row.sealed) for row in world.sql("SELECT sealed FROM member_secret")}

    assert reseal(place) == 2

    fresh = place.read_text().split()
    assert len(fresh) == 1
    assert fresh != [old]
    assert place.stat().st_mode & 0o777 == 0o600
    assert secrets.values(member.username, ["A"]) == {"A": "one"}
    assert secrets.values(other.username, ["A"]) == {"A": "two"}
    after = {bytes(row.sealed) for row in world.sql("SELECT sealed FROM member_secret")}
    assert not before & after
    for sealed in after:
        with pytest.raises(InvalidToken):
            Fernet(old).decrypt(sealed)


@pytest.mark.parametrize("stops_at", [1, 2])
def test_a_rotation_that_is_interrupted_loses_nothing_and_may_be_begun_again(
    member: Member, tmp_path: Path, stops_at: int
) -> None:
    place = tmp_path / "secrets" / secrets.KEY
    secrets.put(member, "A", "one")
    stored = []

    def dies(key: bytes) -> None:
        stored.append(key)
        if len(stored) == stops_at:
            raise KeyboardInterrupt
        generated.replace(place, key)

    with pytest.raises(KeyboardInterrupt):
        secrets.reseal(dies)
    assert secrets.values(member.username, ["A"]) == {"A": "one"}
    secrets.put(member, "B", "two")
    reseal(place)
    assert len(place.read_text().split()) == 1
    assert secrets.values(member.username, ["A", "B"]) == {"A": "one", "B": "two"}


def test_what_is_stored_and_read_while_the_key_changes_is_never_lost(member: Member, tmp_path: Path) -> None:
    place = tmp_path / "secrets" / secrets.KEY
    names = [f"S{number}" for number in range(20)]
    with ThreadPoolExecutor(3) as threads:
        stores = threads.submit(lambda: [secrets.put(member, name, name) for name in names])
        keys = threads.submit(lambda: [reseal(place) for _ in range(4)])
        while not stores.done():
            known = [secret.name for secret in secrets.list_secrets(member).rows]
            assert secrets.values(member.username, known) == {name: name for name in known}
        stores.result()
        keys.result()
    assert secrets.values(member.username, names) == {name: name for name in names}
