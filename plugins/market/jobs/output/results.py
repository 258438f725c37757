"""What a job left: listed, read, and packed, as the job's owner.

That is what it wrote to its output folder in HDFS, and what its driver had in its folder MARKET_RESULTS,
which is copied into another one beside it. Both are shown as one. A file whose path the output has taken is
shown below `MARKET_RESULTS/`.
"""

from __future__ import annotations

import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from market.cluster.clients import hdfs
from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.cluster.hdfs import File, Hdfs
from market.hadoop import paths
from market.hadoop.paths import JobFolder
from market.kit import database
from market.kit.clock import now_ms
from market.kit.errors import BadInputError, ConflictError, NotFoundError
from market.kit.settings import load
from market.people.files import Entry

if TYPE_CHECKING:
    from market.jobs.store import Job

Wanted = Callable[[], bool]  # whether somebody still waits for it

_SMALL, _AHEAD = 1 << 20, 8  # files up to so many bytes are read so many ahead of the packing
_reading = ThreadPoolExecutor(max_workers=8, thread_name_prefix="results")
_FIRST_YEAR = 1980  # a zip knows no earlier one
_TAKEN = "MARKET_RESULTS/"


def always() -> bool:
    """Tell that it is wanted."""
    return True


@dataclass(frozen=True)
class Left:
    """A file that a job left: its path as a result, and its place in HDFS."""

    path: str
    size: int
    modified_ms: int
    place: str


@dataclass(frozen=True)
class Result(Entry):
    """A result file; `sha256` None: not computed yet, or not readable."""

    sha256: str | None = None


def list_files(job: Job, wanted: Wanted = always) -> list[Result]:
    """Return all files below a job's output, by path; none before the program has written any.

    From the manifest once it is made, a few seconds after the job's end; checksums come after that. Raises
    NotFoundError once the files are deleted because of their age.
    """
    if job.discarded_ms is not None:
        _check_kept(job)
    if job.results_ms is None:
        return [Result(one.path, one.size, False, one.modified_ms) for one in walk(job, wanted)]
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT path, size, modified_ms, nullif(sha256, '') AS sha256 FROM result_file"
            ' WHERE job_id = %s ORDER BY path COLLATE "C"',
            [job.job_id],
        )
        return [Result(row.path, row.size, False, row.modified_ms, row.sha256) for row in cursor.fetchall()]


def open_file(job: Job, path: str) -> File:
    """Return a result file, to be read. Raises BadInputError, NotFoundError."""
    files, is_folder = _as_owner(job), False
    for absolute in places(job.folder, paths.relative(path, "path")):
        try:
            found = files.file(absolute)
            if found and not found.status.is_folder:
                return found
            is_folder = is_folder or found is not None
        except (HdfsNotFound, HdfsDenied):
            pass
    if is_folder:
        raise BadInputError({"path": ["is a folder; the list of results has each file"]})
    _check_kept(job)
    raise NotFoundError(f"The job has no result {path}.")


def places(job: JobFolder, path: str) -> list[str]:
    """Return where the result with this path may lie in HDFS: the first that is there counts."""
    found = [paths.below(folder, path) for folder in (paths.output(job), paths.results(job))]
    if path.startswith(_TAKEN):
        found.append(f"{paths.results(job)}/{path.removeprefix(_TAKEN)}")
    return found


def zip(job: Job, wanted: Wanted = always) -> Iterator[bytes]:
    """Return a zip of all result files in chunks, made while it is read, with constant memory.

    Raises NotFoundError once they are deleted because of their age.
    """
    return _packed(_as_owner(job), walk(job, wanted))


def delete(job: Job) -> None:
    """Delete all that a job has left in HDFS, so that its owner has room again; the list of it stays.

    Raises ConflictError while it has not ended.
    """
    if not job.ended:
        raise ConflictError("The job still writes its results. Cancel it, or wait for its end.")
    hdfs().delete(job.folder, recursive=True)
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE job SET discarded_ms = %s WHERE job_id = %s AND discarded_ms IS NULL",
            [now_ms(), job.job_id],
        )


def _as_owner(job: Job) -> Hdfs:
    return hdfs().as_user(job.username)


def walk(job: Job, wanted: Wanted = always) -> list[Left]:
    """Return the files as HDFS has them now, by path; raises NotFoundError likewise.

    Only those that can be asked for: no name with a control character. It ends early, with what it has, when
    nobody wants it any more.
    """
    output = _below(job, paths.output(job.folder), wanted)
    results = _below(job, paths.results(job.folder), wanted)
    if output is None and results is None:
        _check_kept(job)
    taken = {one.path for one in output or ()}
    folders = {parent for path in taken for parent in _parents(path)}
    return sorted(
        [
            *(output or ()),
            *(
                replace(one, path=_TAKEN + one.path) if _is_taken(one.path, taken, folders) else one
                for one in results or ()
            ),
        ],
        key=lambda one: one.path,
    )


def _below(job: Job, folder: str, wanted: Wanted) -> list[Left] | None:
    """Return the files below a folder; None where there is none."""
    try:
        return [
            Left(path, status.size, status.modified_ms, f"{folder}/{path}")
            for path, status in takewhile(lambda _: wanted(), _as_owner(job).walk(folder))
            if paths.can_be_asked_for(path)
        ]
    except (HdfsNotFound, HdfsDenied):
        return None


def _is_taken(path: str, files: set[str], folders: set[str]) -> bool:
    """Tell whether one of these files or folders, or a file above, has this path."""
    return path in files or path in folders or not files.isdisjoint(_parents(path))


def _parents(path: str) -> Iterator[str]:
    """Yield the folders that a file lies in."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _check_kept(job: Job) -> None:
    kept_s = load().jobs.result_retention_s
    if job.ended_ms is not None and job.ended_ms < now_ms() - kept_s * 1000:
        days = kept_s // 86_400
        raise NotFoundError(f"Results are kept for {days} days after a job's end; this job's are deleted.")
    if job.discarded_ms is not None:
        raise NotFoundError("This job's results were deleted on request.")


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


def _packed(files: Hdfs, entries: list[Left]) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for entry, chunks in _contents(files, entries):
            moment = time.gmtime(entry.modified_ms // 1000)[:6]
            about = zipfile.ZipInfo(entry.path, max(moment, (_FIRST_YEAR, 1, 1, 0, 0, 0)))
            about.external_attr = 0o644 << 16
            with archive.open(about, "w", force_zip64=True) as member:
                for chunk in chunks:
                    member.write(chunk)
                    yield pipe.fetch()
            yield pipe.fetch()
    yield pipe.fetch()


def _contents(files: Hdfs, entries: Iterable[Left]) -> Iterator[tuple[Left, Iterable[bytes]]]:
    """Yield the files that are still there with their bytes; small ones are read side by side, in advance."""

    def read(place: str) -> list[bytes]:
        return list(files.open(place))

    rest, ahead = iter(entries), deque[tuple[Left, Future[list[bytes]] | None]]()
    try:
        while True:
            for entry in islice(rest, _AHEAD - len(ahead)):
                small = 0 < entry.size <= _SMALL
                ahead.append((entry, _reading.submit(read, entry.place) if small else None))
            if not ahead:
                return
            entry, future = ahead.popleft()
            try:
                chunks = future.result() if future else files.open(entry.place) if entry.size else ()
            except HdfsNotFound:
                continue
            yield entry, chunks
    finally:  # who wanted it may have gone
        for _, future in ahead:
            if future:
                future.cancel()
