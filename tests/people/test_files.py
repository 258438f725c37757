"""A member's files in a real HDFS: whole or not at all, inside his home and its quota, his alone."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from market.cluster.clients import hdfs
from market.hadoop import paths
from market.kit import settings
from market.kit.errors import BadInputError, ConflictError, NotFoundError, TooLargeError
from market.kit.paging import Page
from market.people import files, homes
from market.people.member import Member
from market.web.api.streams import BrokenOffError

pytestmark = pytest.mark.cluster

MIB = 1 << 20


@pytest.fixture
def member(stack: settings.Settings) -> Iterator[Member]:
    """Somebody with an empty home."""
    member = Member(secrets.token_hex(16), f"files-{secrets.token_hex(4)}", "")
    homes.make(member.username)
    yield member
    for folder in (homes.path(member.username), paths.container_logs(member.username)):
        hdfs().delete(folder, recursive=True)


def text(member: Member, path: str) -> bytes:
    return b"".join(files.get(member, path).chunks())


def listed(member: Member, path: str = ".", page: Page | None = None) -> list[str]:
    return [entry.path for entry in files.list_folder(member, path, page).rows]


def leftovers(member: Member) -> list[str]:
    folder = f"{homes.path(member.username)}/.market-uploads"
    return [status.name for status in hdfs().list(folder)] if hdfs().status(folder) else []


def zeros(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield bytes(MIB)


@pytest.mark.parametrize("path", ["main.py", "a/b/c.txt", "with space/ü 日本.csv", "100%/#x?y&z=1;`$'\".py"])
def test_what_was_stored_comes_back(member: Member, path: str) -> None:
    stored = files.put(member, path, iter([b"hello ", b"", b"world"]), 11)
    assert (stored.path, stored.size, stored.is_folder) == (path, 11, False)
    assert stored.modified_ms > 1_700_000_000_000
    assert text(member, path) == b"hello world"
    assert files.get(member, path).status.size == 11
    folder = path.rpartition("/")[0] or "."
    assert listed(member, folder) == [path]


def test_an_empty_file(member: Member) -> None:
    assert files.put(member, "empty", iter([]), 0).size == 0
    assert text(member, "empty") == b""


def test_a_large_file_in_many_blocks(member: Member) -> None:
    assert files.put(member, "large", zeros(40), None).size == 40 * MIB
    assert sum(map(len, files.get(member, "large").chunks())) == 40 * MIB


def test_what_is_made_on_the_way_is_for_its_owner_alone(member: Member) -> None:
    files.put(member, "a/b/c", iter([b"x"]), 1)
    for folder in ("a", "a/b"):
        status = hdfs().status(f"{homes.path(member.username)}/{folder}")
        assert status is not None
        assert (status.permission, status.owner) == ("700", member.username)
    other = hdfs().as_user("somebody-else")
    with pytest.raises(Exception, match="Permission denied"):
        other.status(f"{homes.path(member.username)}/a/b/c")


def test_readers_of_a_file_that_is_replaced_see_the_old_or_the_new_one(member: Member) -> None:
    files.put(member, "data", iter([b"old"]), 3)
    contents: list[bytes] = []

    def slow() -> Iterator[bytes]:
        for _ in range(3):
            yield b"new"
            contents.append(text(member, "data"))
            assert listed(member) == ["data"]

    files.put(member, "data", slow(), 9)
    assert contents == [b"old"] * 3
    assert text(member, "data") == b"newnewnew"
    assert leftovers(member) == []


def test_an_upload_that_breaks_off_leaves_nothing(member: Member) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(100_000)
        raise BrokenOffError("the client is gone")

    files.put(member, "data", iter([b"old"]), 3)
    with pytest.raises(BrokenOffError):
        files.put(member, "data", broken(), None)
    with pytest.raises(BadInputError):
        files.put(member, "data", iter([b"short"]), 100)
    assert text(member, "data") == b"old"
    assert leftovers(member) == []


def test_names_that_are_taken(member: Member) -> None:
    files.put(member, "folder/file", iter([b"x"]), 1)
    for path in ("folder", "folder/file/below", "folder/file/below/deep"):
        with pytest.raises(ConflictError):
            files.put(member, path, iter([b"y"]), 1)
    assert text(member, "folder/file") == b"x"
    assert leftovers(member) == []


@pytest.mark.parametrize(
    "path", ["", "/x", "../bob/x", "a//b", "a/", "hdfs://x", "a\nb", ".sparkStaging/x", ".market-uploads"]
)
def test_paths_that_are_refused(member: Member, path: str) -> None:
    for attempt in (
        lambda: files.put(member, path, iter([b"x"]), 1),
        lambda: files.get(member, path),
        lambda: files.list_folder(member, path),
        lambda: files.delete(member, path),
    ):
        with pytest.raises(BadInputError) as caught:
            attempt()
        assert list(caught.value.errors) == ["path"]


def test_a_home_has_a_quota_of_bytes(member: Member) -> None:
    hdfs().set_quota(homes.path(member.username), 1000, 40 * MIB)
    with pytest.raises(TooLargeError, match="Delete files"):  # before a byte is sent
        files.put(member, "big", iter([]), 41 * MIB)
    with pytest.raises(TooLargeError, match="Delete files"):  # on the way
        files.put(member, "big", zeros(100), None)
    assert leftovers(member) == []
    assert listed(member) == []
    assert files.put(member, "small", zeros(8), None).size == 8 * MIB


def test_a_home_has_a_quota_of_names(member: Member) -> None:
    hdfs().set_quota(homes.path(member.username), 5, 1 << 30)
    files.put(member, "one", iter([b"x"]), 1)
    files.put(member, "two", iter([b"x"]), 1)
    with pytest.raises(TooLargeError, match="files and folders"):
        files.put(member, "three", iter([b"x"]), 1)
    with pytest.raises(TooLargeError):
        files.put(member, "a/b/c/d", iter([b"x"]), 1)


def test_a_list_is_in_pages_the_newest_first(member: Member) -> None:
    for name, size in (("b", 3), ("a", 2), ("c", 1)):
        files.put(member, name, iter([b"x" * size]), size)
    assert listed(member) == ["c", "a", "b"]
    assert listed(member, page=Page(order_by="path", descending=False)) == ["a", "b", "c"]
    assert listed(member, page=Page(order_by="size")) == ["b", "a", "c"]
    listing = files.list_folder(member, ".", Page(limit=1, offset=1))
    assert ([entry.path for entry in listing.rows], listing.total) == (["a"], 3)


def test_a_list_hides_what_is_the_market_s(member: Member) -> None:
    files.put(member, "mine", iter([b"x"]), 1)
    hdfs().as_user(member.username).mkdirs(f"{homes.path(member.username)}/.sparkStaging/x")
    assert listed(member) == ["mine"]


def test_what_is_not_there(member: Member) -> None:
    files.put(member, "file", iter([b"x"]), 1)
    for attempt in (
        lambda: files.get(member, "missing"),
        lambda: files.get(member, "file/below"),
        lambda: files.list_folder(member, "missing"),
        lambda: files.delete(member, "missing"),
        lambda: files.list_folder(Member("0" * 32, "nobody-has-this-name", ""), "."),
    ):
        with pytest.raises(NotFoundError) as caught:
            attempt()
        assert "/user/" not in caught.value.detail


def test_a_file_is_no_folder_and_a_folder_no_file(member: Member) -> None:
    files.put(member, "a/file", iter([b"x"]), 1)
    with pytest.raises(BadInputError):
        files.get(member, "a")
    with pytest.raises(BadInputError):
        files.list_folder(member, "a/file")


def test_deleting(member: Member) -> None:
    for path in ("a/b/c", "a/d", "e"):
        files.put(member, path, iter([b"x"]), 1)
    files.delete(member, "a")
    files.delete(member, "e")
    assert listed(member) == []
    with pytest.raises(BadInputError):
        files.delete(member, ".")
