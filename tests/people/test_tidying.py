"""A member's home in a real HDFS, put in order: what is moved arrives whole, nothing is overwritten."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from market.cluster.clients import hdfs
from market.hadoop import paths
from market.kit import settings
from market.kit.errors import BadInputError, ConflictError, NotFoundError
from market.people import files, homes, tidying
from market.people.member import Member

pytestmark = pytest.mark.cluster


@pytest.fixture
def member(stack: settings.Settings) -> Iterator[Member]:
    """Somebody whose home has a folder with a file, and a file beside it."""
    member = Member(secrets.token_hex(16), f"tidy-{secrets.token_hex(4)}", "")
    homes.make(member.username)
    for path in ("digits/main.py", "note.txt"):
        files.put(member, path, iter([path.encode()]), None)
    yield member
    for folder in (homes.path(member.username), paths.container_logs(member.username)):
        hdfs().delete(folder, recursive=True)


def text(member: Member, path: str) -> str:
    return b"".join(files.get(member, path).chunks()).decode()


@pytest.mark.parametrize("to", ["renamed.txt", "digits/note.txt", "new/deep/ü 日本.txt"])
def test_a_file_has_its_new_place_and_no_old_one(member: Member, to: str) -> None:
    moved = tidying.move(member, "note.txt", to)
    assert (moved.path, moved.size, text(member, to)) == (to, 8, "note.txt")
    with pytest.raises(NotFoundError):
        files.get(member, "note.txt")


def test_a_folder_takes_along_what_is_in_it(member: Member) -> None:
    assert tidying.move(member, "digits", "old/numbers").is_folder
    assert text(member, "old/numbers/main.py") == "digits/main.py"


def test_what_is_there_stays_as_it_is(member: Member) -> None:
    for path, to in (("note.txt", "digits/main.py"), ("note.txt", "digits"), ("digits", "note.txt")):
        with pytest.raises(ConflictError):
            tidying.move(member, path, to)
    with pytest.raises(ConflictError):
        tidying.make_folder(member, "digits")
    with pytest.raises(ConflictError):
        tidying.move(member, "digits", "note.txt/below")
    assert (text(member, "note.txt"), text(member, "digits/main.py")) == ("note.txt", "digits/main.py")


def test_moves_that_cannot_be(member: Member) -> None:
    for path, to in (("digits", "digits/inner"), (".", "all"), ("note.txt", "../other"), ("note.txt", "")):
        with pytest.raises(BadInputError):
            tidying.move(member, path, to)
    with pytest.raises(BadInputError):
        tidying.move(member, "note.txt", f"{paths.UPLOADS}/x")
    with pytest.raises(NotFoundError):
        tidying.move(member, "nothing", "else")


def test_an_empty_folder_is_its_owner_s_alone(member: Member) -> None:
    assert tidying.make_folder(member, "a/b").is_folder
    status = hdfs().status(f"{homes.path(member.username)}/a/b")
    assert status is not None
    assert files.list_folder(member, "a/b").total == 0


def test_the_room_counts_what_is_there_against_the_quota(member: Member) -> None:
    before = tidying.room(member)
    assert before.quota_bytes is not None
    assert 0 < before.used_bytes < before.quota_bytes
    files.put(member, "more.bin", iter([bytes(1 << 20)]), 1 << 20)
    after = tidying.room(member)
    assert after.used_bytes - before.used_bytes >= 1 << 20
    assert after.names >= before.names + 1
