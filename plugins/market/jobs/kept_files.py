"""Large files of a person's jobs: one copy for all jobs that name the same file in the same version.

A machine keeps what it has fetched and unpacked by its place in HDFS. With a copy for each job it would fetch
a packed Python of a gigabyte each time. They lie hidden in their owner's home, and count in his quota.
"""

from __future__ import annotations

import hashlib
import re

from market.cluster.clients import hdfs
from market.cluster.errors import ClusterRefused, HdfsNotFound
from market.cluster.hdfs import FileStatus, Hdfs
from market.hadoop import paths
from market.hadoop.paths import JobFolder
from market.jobs import store
from market.kit.clock import new_id, now_ms
from market.kit.errors import ConflictError

_LARGE_BYTES = 16 << 20
_UNUSED_MS = 86_400_000
_MARK = re.compile(r"(\d{1,6})-([0-9a-f]{32})")


def is_large(status: FileStatus) -> bool:
    """Tell whether a file is worth it: a small one is copied sooner than it is looked for."""
    return status.size > _LARGE_BYTES


def keep(files: Hdfs, username: str, source: str, status: FileStatus, name: str) -> str:
    """Copy a file, as `files` may, unless there is a copy of this version; return the version.

    Raises ConflictError if the file changes meanwhile.
    """
    version = _version(source, status)
    folder = f"{paths.kept(username)}/{version}"
    if files.status(f"{folder}/{name}") is not None:
        files.set_used(f"{folder}/{name}", now_ms())
        return version
    part = f"{folder}.{new_id()}"
    try:
        files.create(f"{part}/{name}", files.open(source))
        after = files.status(source)
        if after is None or _version(source, after) != version:
            raise ConflictError(f"{paths.base(source)} was changed meanwhile. Submit the job again.")
        files.appear(part, folder)
    except ClusterRefused:  # another job was sooner
        files.delete(part, recursive=True)
        if files.status(f"{folder}/{name}") is None:
            raise
    except BaseException:
        files.delete(part, recursive=True)
        raise
    return version


def _version(source: str, status: FileStatus) -> str:
    words = f"{source}\0{status.size}\0{status.modified_ms}"
    return hashlib.sha256(words.encode()).hexdigest()[:32]


def mark(number: int, version: str) -> str:
    """Return the name of the empty file that tells of a job's file of this number which version it is."""
    return f"{number}-{version}"


def marked(files: Hdfs, job: JobFolder) -> dict[int, str]:
    """Return the versions of a job's large files, by their numbers."""
    try:
        names = [status.name for status in files.list(paths.kept_marks(job))]
    except HdfsNotFound:
        return {}
    found = [_MARK.fullmatch(name) for name in names]
    return {int(match[1]): match[2] for match in found if match}


def sweep(username: str) -> None:
    """Delete the copies of a person's files that no open job has, and none has had for a day."""
    before_ms = now_ms() - _UNUSED_MS
    old = [name for name, used_ms in _held(username) if used_ms < before_ms]
    if not old:
        return
    jobs = [job for job in store.open_jobs() if job.username == username]
    needed = {version for job in jobs for version in marked(hdfs(), job.folder).values()}
    for name in old:
        if name not in needed:
            hdfs().delete(f"{paths.kept(username)}/{name}", recursive=True)


def _held(username: str) -> list[tuple[str, int]]:
    """Return what is kept, and what was left by whoever died while he copied: when each was used last."""
    folder = paths.kept(username)
    try:
        found = hdfs().list(folder)
    except HdfsNotFound:
        return []
    held = []
    for one in found:
        inside = hdfs().list(f"{folder}/{one.name}")
        times = [max(status.used_ms, status.modified_ms) for status in inside]
        held.append((one.name, max([one.modified_ms, *times])))
    return held
