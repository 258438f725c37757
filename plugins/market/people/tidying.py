"""A member's home put in order: files and folders moved, folders made, and how full it is."""

from __future__ import annotations

from dataclasses import dataclass

from market.cluster.errors import ClusterRefused
from market.kit.errors import BadInputError, ConflictError
from market.people import homes
from market.people.files import Entry, absolute_path, entry_of, in_words, missing, own
from market.people.member import Member

_OWNERS_ONLY = "700"


@dataclass(frozen=True)
class Room:
    """What a home holds and may hold, bytes and names; what jobs have left counts. None: no limit."""

    used_bytes: int
    quota_bytes: int | None
    names: int
    names_quota: int | None


def room(member: Member) -> Room:
    """Return how full the home is, as HDFS has counted it. Raises NotFoundError."""
    with in_words("."):
        usage = own(member).usage(homes.path(member.username))
    return Room(
        usage.space_bytes,
        usage.space_quota_bytes if usage.space_quota_bytes >= 0 else None,
        usage.names,
        usage.names_quota if usage.names_quota >= 0 else None,
    )


def make_folder(member: Member, path: str) -> Entry:
    """Make an empty folder, and those above it.

    Raises BadInputError; ConflictError if there is something of this name; TooLargeError over the quota.
    """
    files, place = own(member), absolute_path(member, path)
    with in_words(path, writing=True):
        _check_free(member, path)
        files.mkdirs(place, permission=_OWNERS_ONLY)
        made = files.status(place)
    if made is None:
        raise ConflictError(f"{path} was deleted or moved while it was made.")
    return entry_of(path, made)


def move(member: Member, path: str, to: str) -> Entry:
    """Give a file or folder another name or place in the home; folders above that are made.

    Raises BadInputError, NotFoundError; ConflictError if there is something already.
    """
    files, source, target = own(member), absolute_path(member, path), absolute_path(member, to)
    if path == ".":
        raise BadInputError({"path": ["the home itself cannot be moved"]})
    if f"{target}/".startswith(f"{source}/"):
        raise BadInputError({"to": ["lies in what is to be moved"]})
    with in_words(path):
        if files.status(source) is None:
            raise missing(path)
    with in_words(to, writing=True):
        _check_free(member, to)
        if "/" in to:
            files.mkdirs(target.rsplit("/", 1)[0], permission=_OWNERS_ONLY)
        try:
            files.appear(source, target)
        except ClusterRefused:
            _check_free(member, to)  # somebody was faster
            raise
        moved = files.status(target)
    if moved is None:
        raise ConflictError(f"{to} was deleted or moved meanwhile.")
    return entry_of(to, moved)


def _check_free(member: Member, path: str) -> None:
    if path == "." or own(member).status(absolute_path(member, path)):
        raise ConflictError(f"There is {path} already. Take another name, or delete it first.")
