"""The bytes of a job's log file, from whoever has it; and why it is not there, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from market.cluster.clients import hdfs, job_history, node_manager
from market.cluster.container_logs import LogFile, Part
from market.cluster.errors import ClusterUnavailable
from market.jobs import runs
from market.jobs.output import build_log, log_places
from market.jobs.output.log_places import Place
from market.jobs.runs import Run
from market.kit import database
from market.kit.clock import now_ms
from market.kit.errors import NotFoundError, UnavailableError
from market.kit.settings import load
from market.kit.vocabulary import NODE_LOST

if TYPE_CHECKING:
    from market.jobs.store import Job

# The first line of a container's stderr: Java writes which options the machine gave it. That is not of the
# program, and it names folders of the machine, so files begin behind it here.
_NOTE = b"NOTE: Picked up JDK_JAVA_OPTIONS"
_NOTED_FILE = "stderr"
_MAX_NOTE = 4096
_MAX_NOTES = 10_000
_FAR = 1 << 60  # an offset behind every file's end
_notes: dict[str, int] = {}


def tail(job: Job, container_id: str, file: str, size: int) -> tuple[int, Iterator[bytes]]:
    """Return a log file's last `size` bytes in chunks, and the offset at which they begin.

    Raises NotFoundError, UnavailableError.
    """
    of_packages = container_id == build_log.CONTAINER
    whole = build_log.size(job) or 0 if of_packages else _listed_size(job, container_id, file)
    if whole is None:
        run, place = _run_and_place(job, container_id, file)
        skipped = _note(run, place) if file == _NOTED_FILE else 0
        part = _part(run, place, file, _FAR, 0)
        if part is None:
            raise _gone(run, place)
        whole = part.file_size - skipped
    offset = max(0, whole - size)
    return offset, read(job, container_id, file, offset)


def read(
    job: Job, container_id: str, file: str, offset: int = 0, length: int | None = None
) -> Iterator[bytes]:
    """Return a log file's bytes from an offset, in chunks; past its end nothing.

    Offsets are those of the file as it is shown, and stay the same while it grows and after the job's end.
    Raises NotFoundError for what is not this job's, or is gone; UnavailableError.
    """
    if container_id == build_log.CONTAINER:
        return build_log.read(job, file, offset, length)
    run, place = _run_and_place(job, container_id, file)
    skipped = _note(run, place) if file == _NOTED_FILE else 0
    part = _part(run, place, file, offset + skipped, length)
    if part is None:
        raise _gone(run, place)
    return part.chunks


def _listed_size(job: Job, container_id: str, file: str) -> int | None:
    """Return a file's size from the list that was made after the job's end, without asking anybody."""
    if job.logs_ms is None:
        return None
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT size FROM log_file WHERE job_id = %s AND container_id = %s AND file = %s",
            [job.job_id, container_id, file],
        )
        row = cursor.fetchone()
    return None if row is None else int(row.size)


def _run_and_place(job: Job, container_id: str, file: str) -> tuple[Run, Place]:
    """Return the run that a container belongs to, and where it ran.

    Raises NotFoundError for what is not this job's.
    """
    application_id = log_places.application_of(container_id)
    if application_id is None or file in log_places.HIDDEN or "/" in file:
        raise NotFoundError("The job has no such log file.")
    for run in runs.with_application(job):
        if run.application_id == application_id:
            return run, log_places.metered(run).get(container_id) or Place(container_id, "")
    raise NotFoundError("The job has no such log file.")


def _part(run: Run, place: Place, file: str, offset: int, length: int | None) -> Part | None:
    """Return a stretch of a file from whoever has it."""

    def collected() -> Part | None:
        return job_history().log(place.container_id, file, offset, length)

    def local() -> Part | None:
        address = log_places.address(run, place)
        return node_manager(address).log(place.container_id, file, offset, length) if address else None

    away: ClusterUnavailable | None = None
    for _ in log_places.tries(run):
        for source in (collected, local, collected) if run.ended else (local, collected):
            if source is local and run.ended and not log_places.just_ended(run):
                break
            try:
                if part := source():
                    return part
            except ClusterUnavailable as error:
                away = error
        if away:
            break
    if away and not run.ended:
        raise UnavailableError("The machine does not answer now. Try again in a minute.")
    if away:
        raise UnavailableError("The log server does not answer now. Try again in a minute.")
    return None


def _note(run: Run, place: Place) -> int:
    """Return how many bytes at the beginning of a stderr are not shown."""
    known = _notes.get(place.container_id)
    if known is not None:
        return known
    part = _part(run, place, _NOTED_FILE, 0, _MAX_NOTE)
    if part is None:
        return 0
    head = b"".join(part.chunks)
    line = head.find(b"\n") + 1
    if line == 0 and len(head) < _MAX_NOTE and _NOTE.startswith(head[: len(_NOTE)]):
        return len(head)  # the line is still being written, or will be: nothing is shown of it
    length = line if head.startswith(_NOTE) else 0
    if len(_notes) >= _MAX_NOTES:
        _notes.clear()
    _notes[place.container_id] = length
    return length


def shown_size(run: Run, place: Place, file: LogFile) -> int:
    """Return how many bytes of a file are shown."""
    skipped = _note(run, place) if file.name == _NOTED_FILE and file.size else 0
    return max(0, file.size - skipped)


def check_kept(run: Run) -> None:
    """Raise NotFoundError if the logs were deleted because of their age, ClusterUnavailable if HDFS is away.

    The log server answers alike when it has none and when it cannot read them.
    """
    hdfs().status("/")
    kept_s = load().jobs.result_retention_s
    if run.ended_ms is not None and now_ms() - run.ended_ms > kept_s * 1000:
        days = kept_s // 86_400
        raise NotFoundError(f"Logs are kept for {days} days after a job's end; this job's are deleted.")


def _gone(run: Run, place: Place) -> NotFoundError:
    """Return why a file is not there, in words."""
    with database.transaction() as cursor:
        cursor.execute("SELECT end_kind FROM container_usage WHERE container_id = %s", [place.container_id])
        row = cursor.fetchone()
    if row and row.end_kind == NODE_LOST:
        return NotFoundError(
            f"The machine {place.host} was lost before it handed over its logs: they are gone."
        )
    if run.ended:
        try:
            check_kept(run)
        except NotFoundError as error:
            return error
        if log_places.just_ended(run):
            return NotFoundError("There is no such log file, or it is still being collected: try again soon.")
    return NotFoundError("The job has no such log file.")
