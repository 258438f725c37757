"""A member's own files in his HDFS home: listed, stored, read and deleted as himself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from market.cluster.clients import hdfs
from market.cluster.errors import (
    ClusterRefused,
    ClusterUnavailable,
    HdfsDenied,
    HdfsNotFound,
    HdfsOverQuota,
)
from market.cluster.hdfs import File, FileStatus, Hdfs
from market.hadoop import paths
from market.kit.clock import new_id, now_ms
from market.kit.errors import BadInputError, ConflictError, NotFoundError, TooLargeError
from market.kit.paging import Listing, Page
from market.people import homes
from market.people.member import Member

ORDERS = ("path", "size", "modified_time")

# A file of an upload that is older than this was left by a server that died: no upload takes as long.
_LEFT_BEHIND_MS = 48 * 3600 * 1000
_LATE_S = 2.0


@dataclass(frozen=True)
class Entry:
    """A file or folder; `path` is relative to the home, or to a job's output."""

    path: str
    size: int
    is_folder: bool
    modified_ms: int


def list_folder(member: Member, path: str, page: Page | None = None) -> Listing[Entry]:
    """Return what a folder of the home holds, the newest first unless the page says otherwise.

    Raises BadInputError for a path that breaks a rule or names a file, NotFoundError.
    """
    with in_words(path):
        statuses = own(member).list(absolute_path(member, path))
    if len(statuses) == 1 and not statuses[0].name:
        raise BadInputError({"path": ["is a file; its bytes are at GET /files/PATH"]})
    base = "" if path == "." else f"{path}/"
    entries = [
        entry_of(base + status.name, status)
        for status in statuses
        if (base or status.name not in paths.HIDDEN) and paths.can_be_asked_for(status.name)
    ]
    return _page(entries, page or Page())


def get(member: Member, path: str) -> File:
    """Return a file, to be read. Raises BadInputError, NotFoundError."""
    files, absolute = own(member), absolute_path(member, path)
    with in_words(path):
        found = files.file(absolute)
        if found is None:
            raise missing(path)
        if found.status.is_folder:
            raise BadInputError({"path": ["is a folder; list it with GET /files?path=PATH"]})
        return found


def put(member: Member, path: str, chunks: Iterable[bytes], length: int | None) -> Entry:
    """Store a file from chunks with constant memory: whole, or not at all; an old one is replaced.

    `length` is the announced number of bytes. Raises BadInputError; ConflictError if a folder has this name
    or a file the name of a parent; TooLargeError if it does not fit in the home's quota.
    """
    files, absolute = own(member), absolute_path(member, path)
    if path == ".":
        raise BadInputError({"path": ["must name a file"]})
    with in_words(path, writing=True):
        _check_place(files, absolute, path)
        _check_quota(files, member, length)
        _sweep(files, member)
        return _store(files, member, path, chunks, length)


def delete(member: Member, path: str) -> None:
    """Delete a file, or a folder with all that is in it. Raises BadInputError, NotFoundError."""
    absolute = absolute_path(member, path)
    if path == ".":
        raise BadInputError({"path": ["the home itself cannot be deleted"]})
    with in_words(path):
        if not own(member).delete(absolute, recursive=True):
            raise missing(path)


def own(member: Member) -> Hdfs:
    """Return HDFS as the member sees it."""
    return hdfs().as_user(member.username)


def absolute_path(member: Member, path: str) -> str:
    """Return where a path of the home lies. Raises BadInputError."""
    if paths.relative(path, "path").split("/", 1)[0] in paths.HIDDEN:
        raise BadInputError({"path": ["is a folder that the market keeps for itself; take another name"]})
    return paths.below(homes.path(member.username), path)


def entry_of(path: str, status: FileStatus) -> Entry:
    """Return what HDFS says of a file or folder, with its path in the home."""
    return Entry(path, status.size, status.is_folder, status.modified_ms)


def _page(entries: list[Entry], page: Page) -> Listing[Entry]:
    orders = {
        "path": lambda entry: entry.path,
        "size": lambda entry: entry.size,
        "modified_time": lambda entry: entry.modified_ms,
    }
    entries.sort(key=lambda entry: entry.path)
    entries.sort(key=orders[page.order_by or "modified_time"], reverse=page.descending)
    return Listing(entries[page.offset : page.offset + page.limit], len(entries))


def _check_place(files: Hdfs, absolute: str, path: str) -> None:
    status = files.status(absolute)
    if status and status.is_folder:
        raise ConflictError(f"{path} is a folder. Give the file another name, or delete the folder first.")


def _check_quota(files: Hdfs, member: Member, length: int | None) -> None:
    usage = files.usage(homes.path(member.username))
    left = usage.space_quota_bytes - usage.space_bytes
    # A new file and the folder that uploads lie in take a name each; HDFS counts the rest itself.
    if 0 <= usage.names_quota < usage.names + 2:
        raise TooLargeError(
            f"Your home may hold {usage.names_quota} files and folders, what jobs have left included."
            f" {homes.MAKE_ROOM} Then send this again."
        )
    if usage.space_quota_bytes >= 0 and (length or 0) > left:
        raise _full(usage.space_quota_bytes, left)


def _full(quota: int, left: int) -> TooLargeError:
    return TooLargeError(
        f"Your home may hold {quota} bytes, what jobs have left included, and has room for {max(0, left)}."
        f" The last {homes.BLOCK_BYTES >> 20} MiB cannot be filled, and a file that is replaced counts until"
        f" the new one is whole. {homes.MAKE_ROOM}"
    )


def _store(files: Hdfs, member: Member, path: str, chunks: Iterable[bytes], length: int | None) -> Entry:
    home = homes.path(member.username)
    absolute, partial = paths.below(home, path), f"{home}/{paths.UPLOADS}/{new_id()}"
    counter = _Counter(chunks)
    try:
        files.create(partial, counter)
        if length is not None and counter.sent_bytes != length:
            raise BadInputError({"Content-Length": [f"says {length} bytes, and {counter.sent_bytes} came"]})
        if "/" in path:
            files.mkdirs(absolute.rsplit("/", 1)[0], permission="700")
        files.replace(partial, absolute)
        stored = files.status(absolute)
    except BaseException as error:
        _remove(files, partial, began=counter.sent_bytes > 0)
        if isinstance(error, ClusterUnavailable | HdfsOverQuota):
            # Over the quota, HDFS may close the connection in the middle of a body without an answer.
            _explain(files, member, counter.sent_bytes, isinstance(error, HdfsOverQuota))
        if type(error) is ClusterRefused:
            _check_place(files, absolute, path)
        raise
    if stored is None:
        raise ConflictError(f"{path} was deleted or moved while it was stored.")
    return entry_of(path, stored)


def _remove(files: Hdfs, partial: str, began: bool) -> None:
    """Delete the file of an upload that failed; if bytes were sent, HDFS may make it only in a moment."""
    until = time.monotonic() + (_LATE_S if began else 0)
    with suppress(ClusterRefused, ClusterUnavailable):
        while not files.delete(partial) and time.monotonic() < until:
            time.sleep(0.05)


class _Counter:
    """Chunks that are counted on their way."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.sent_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.sent_bytes += len(chunk)
            yield chunk


def _explain(files: Hdfs, member: Member, sent_bytes: int, certain: bool) -> None:
    """Raise TooLargeError if the home's quota is why a file could not be written."""
    usage = files.usage(homes.path(member.username))
    left = usage.space_quota_bytes - usage.space_bytes
    if usage.space_quota_bytes >= 0 and (certain or left < sent_bytes + homes.BLOCK_BYTES):
        raise _full(usage.space_quota_bytes, left) from None


def _sweep(files: Hdfs, member: Member) -> None:
    """Remove the files of uploads whose server died."""
    folder = f"{homes.path(member.username)}/{paths.UPLOADS}"
    with suppress(HdfsNotFound):
        for upload in files.list(folder):
            if upload.modified_ms < now_ms() - _LEFT_BEHIND_MS:
                files.delete(f"{folder}/{upload.name}")


@contextmanager
def in_words(path: str, writing: bool = False) -> Iterator[None]:
    """Turn what HDFS refuses into errors with words for the owner of the home."""
    try:
        yield
    except HdfsOverQuota:
        raise TooLargeError(
            "Your home has no room for this: its quota of bytes, or of files and folders, is used up."
            f" {homes.MAKE_ROOM}"
        ) from None
    except ClusterRefused as error:
        if writing and "is not a directory" in error.detail:
            raise ConflictError(f"A part of {path} is a file, so nothing can lie below it.") from None
        if isinstance(error, HdfsNotFound | HdfsDenied):
            raise missing(path) from None
        raise


def missing(path: str) -> NotFoundError:
    """Return the error of a path at which there is nothing."""
    return NotFoundError(
        "You have no home folder yet." if path == "." else f"There is no {path} in your home."
    )
