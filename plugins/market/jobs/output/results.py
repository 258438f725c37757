"""What a job left in its output folder: listed, read, and packed, as the job's owner."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from market.cluster.clients import hdfs
from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.cluster.hdfs import FileStatus, Hdfs
from market.hadoop import paths
from market.kit import database
from market.kit.clock import now_ms
from market.kit.errors import BadInputError, NotFoundError
from market.kit.settings import load
from market.people.files import Entry

if TYPE_CHECKING:
    from market.jobs.store import Job

_FIRST_YEAR = 1980  # a zip knows no earlier one


@dataclass(frozen=True)
class Result(Entry):
    """A result file; `sha256` None: not computed yet, or not readable."""

    sha256: str | None = None


def list_files(job: Job) -> list[Result]:
    """Return all files below a job's output, by path; none before the program has written any.

    From the manifest once it is made, a few seconds after the job's end; checksums come after that. Raises
    NotFoundError once the files are deleted because of their age.
    """
    if job.discarded_ms is not None:
        _check_kept(job)
    if job.results_ms is None:
        return [Result(path, status.size, False, status.modified_ms) for path, status in walk(job)]
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT path, size, modified_ms, nullif(sha256, '') AS sha256 FROM result_file"
            ' WHERE job_id = %s ORDER BY path COLLATE "C"',
            [job.job_id],
        )
        return [Result(row.path, row.size, False, row.modified_ms, row.sha256) for row in cursor.fetchall()]


def open_file(job: Job, path: str) -> tuple[FileStatus, Iterator[bytes]]:
    """Return a result file's status and its bytes in chunks. Raises BadInputError, NotFoundError."""
    files, absolute = _as_owner(job), paths.below(paths.output(job.job_id), paths.relative(path, "path"))
    try:
        status = files.status(absolute)
        if status and status.is_folder:
            raise BadInputError({"path": ["is a folder; the list of results has each file"]})
        if status:
            return status, files.open(absolute, length=status.size) if status.size else iter(())
    except (HdfsNotFound, HdfsDenied):
        pass
    _check_kept(job)
    raise NotFoundError(f"The job has no result {path}.")


def zip(job: Job) -> Iterator[bytes]:
    """Return a zip of all result files in chunks, made while it is read, with constant memory.

    Raises NotFoundError once they are deleted because of their age.
    """
    return _packed(_as_owner(job), paths.output(job.job_id), walk(job))


def _as_owner(job: Job) -> Hdfs:
    return hdfs().as_user(job.username)


def walk(job: Job) -> list[tuple[str, FileStatus]]:
    """Return the files as HDFS has them now, with paths relative to the job's output; raises likewise."""
    try:
        return sorted(_as_owner(job).walk(paths.output(job.job_id)))
    except (HdfsNotFound, HdfsDenied):
        _check_kept(job)
        return []


def _check_kept(job: Job) -> None:
    kept_s = load().jobs.result_retention_s
    if job.ended_ms is not None and job.ended_ms < now_ms() - kept_s * 1000:
        days = kept_s // 86_400
        raise NotFoundError(f"Results are kept for {days} days after a job's end; this job's are deleted.")


class _Pipe:
    """Where zipfile writes to: it takes bytes until they are fetched. It cannot seek, so zipfile streams."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Take bytes."""
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is nowhere to flush to."""

    def fetch(self) -> bytes:
        """Return what was written since the last time."""
        fetched = b"".join(self._parts)
        self._parts.clear()
        return fetched


def _packed(files: Hdfs, folder: str, entries: list[tuple[str, FileStatus]]) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for path, status in entries:
            moment = time.gmtime(status.modified_ms // 1000)[:6]
            about = zipfile.ZipInfo(path, max(moment, (_FIRST_YEAR, 1, 1, 0, 0, 0)))
            about.external_attr = 0o644 << 16
            with archive.open(about, "w", force_zip64=True) as member:
                for chunk in files.open(f"{folder}/{path}") if status.size else ():
                    member.write(chunk)
                    yield pipe.fetch()
            yield pipe.fetch()
    yield pipe.fetch()
