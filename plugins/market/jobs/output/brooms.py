"""Brooms for the folders of HDFS in which things of all people lie: no home counts what is in them.

Each has a quota of its own, so that it cannot fill the disk. What is old goes; and where one is more than
half full, what belongs to whoever has most there, the oldest first. So who fills it loses what he put there,
and nobody else does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from market.cluster.clients import hdfs
from market.cluster.errors import HdfsNotFound
from market.hadoop import paths
from market.jobs import kept_files
from market.kit import isolation, settings
from market.kit.clock import now_ms

_DAY_MS = 86_400_000
_STAGING_MS = 7 * _DAY_MS
_BUCKET = re.compile(r"bucket-logs-[a-z]+")  # in a person's folder of logs; the log server deletes in it
_MOST = 1_000  # entries that one pass deletes from a folder


@dataclass(frozen=True)
class _Entry:
    """Something that lies in a shared folder; `path` is absolute."""

    path: str
    owner: str
    modified_ms: int


def sweep() -> None:
    """Sweep all of them. Raises ClusterUnavailable."""
    loaded = settings.load()
    retention_ms = loaded.jobs.result_retention_s * 1000
    kept_ms = {paths.SCRATCH: loaded.files.scratch_retention_s * 1000, paths.EVENT_LOGS: retention_ms}
    isolation.each("brooms", kept_ms, lambda folder: _sweep(folder, kept_ms[folder]), str)
    isolation.each(
        "brooms of logs", _below(paths.CONTAINER_LOGS), lambda one: _sweep_logs(one, retention_ms), _path
    )
    isolation.each("brooms of staging", _below(paths.STAGING), _sweep_staging, _path)
    isolation.each("brooms of kept files", _below(paths.HOMES), _sweep_kept, _path)


def _path(entry: _Entry) -> str:
    return entry.path


def _below(folder: str) -> list[_Entry]:
    """Return what lies in a folder and is not the market's own, the oldest first.

    An event log is its group's, once the market has put it there (event_logs.py).
    """
    account = settings.load().service.account
    try:
        found = [status for status in hdfs().list(folder) if status.name]
    except HdfsNotFound:
        return []
    owners = [status.group if folder == paths.EVENT_LOGS else status.owner for status in found]
    entries = [
        _Entry(f"{folder}/{status.name}", owner, status.modified_ms)
        for status, owner in zip(found, owners, strict=True)
        if owner != account
    ]
    return sorted(entries, key=lambda entry: entry.modified_ms)


def _sweep(folder: str, kept_ms: int) -> None:
    before_ms = now_ms() - kept_ms
    entries = _below(folder)
    old = [entry for entry in entries if entry.modified_ms < before_ms][:_MOST]
    isolation.each("sweeping", old, _delete, _path)
    left = [entry for entry in entries if entry.modified_ms >= before_ms]
    too_much = list(_of_the_largest(folder, left))
    isolation.each("sweeping", too_much[:_MOST], _delete, _path)


def _of_the_largest(folder: str, entries: list[_Entry]) -> Iterator[_Entry]:
    """Yield what must go so that a folder is half full: always of the person who has most in it by then."""
    usage = hdfs().usage(folder)
    names_left = usage.names_quota // 2 - usage.names
    bytes_left = usage.space_quota_bytes // 2 - usage.space_bytes
    if (usage.names_quota < 0 or names_left >= 0) and (usage.space_quota_bytes < 0 or bytes_left >= 0):
        return
    sizes = {entry.path: hdfs().content_summary(entry.path) for entry in entries}
    bytes_of: dict[str, int] = {}
    names_of: dict[str, int] = {}
    for entry in entries:
        size = sizes[entry.path]
        bytes_of[entry.owner] = bytes_of.get(entry.owner, 0) + size.space_bytes
        names_of[entry.owner] = names_of.get(entry.owner, 0) + size.files + size.folders
    waiting = list(entries)
    while waiting and (names_left < 0 or bytes_left < 0):
        counted = bytes_of if bytes_left < 0 else names_of
        largest = max((entry.owner for entry in waiting), key=lambda owner: counted[owner])
        entry = next(entry for entry in waiting if entry.owner == largest)
        waiting.remove(entry)
        size = sizes[entry.path]
        bytes_left += size.space_bytes
        names_left += size.files + size.folders
        bytes_of[largest] -= size.space_bytes
        names_of[largest] -= size.files + size.folders
        yield entry


def _sweep_logs(person: _Entry, kept_ms: int) -> None:
    """Delete what a program has put among its owner's logs; YARN's own are the log server's to delete."""
    before_ms = now_ms() - kept_ms
    old = [one for one in _below(person.path) if one.modified_ms < before_ms]
    strange = [one for one in old if not _BUCKET.fullmatch(one.path.rsplit("/", 1)[-1])]
    isolation.each("sweeping", strange[:_MOST], _delete, _path)


def _sweep_kept(home: _Entry) -> None:
    kept_files.sweep(paths.base(home.path))


def _sweep_staging(person: _Entry) -> None:
    """Delete what Spark staged for applications that were killed; that of jobs is in their own folders."""
    before_ms = now_ms() - _STAGING_MS
    old = [one for one in _below(f"{person.path}/.sparkStaging") if one.modified_ms < before_ms]
    isolation.each("sweeping", old[:_MOST], _delete, _path)


def _delete(entry: _Entry) -> None:
    hdfs().delete(entry.path, recursive=True)
