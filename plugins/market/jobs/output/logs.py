"""A job's log files: from the machines while it runs, from the log server after its end.

Between the two lies a moment in which a machine hands over: it deletes files while the log server does not
know them yet. So each is asked when the other has nothing, and for some seconds both are asked again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from market.cluster.clients import hdfs, job_history, node_manager, resource_manager
from market.cluster.container_logs import LogFile, Part
from market.cluster.errors import ClusterUnavailable
from market.jobs import store
from market.kit import database
from market.kit.clock import now_ms
from market.kit.errors import NotFoundError, UnavailableError
from market.kit.settings import load
from market.kit.vocabulary import DRIVER, EXECUTOR, NODE_LOST

if TYPE_CHECKING:
    from market.jobs.store import Job

_CONTAINER = re.compile(r"container_(?:e\d+_)?(\d+_\d+)_(\d+)_(\d+)")
# They show the environment of the machine and of the launch, and nothing of the program.
_HIDDEN = frozenset({"launch_container.sh", "directory.info", "prelaunch.err", "prelaunch.out"})
# Machines are asked for logs of an ended application for this long: then they have handed over, or are lost.
_HANDOVER_MS = 10 * 60_000
# A file may be with nobody for a moment: so long after an end it is waited for, if need be, for so long.
_MOMENT_MS, _PATIENCE_S, _PAUSE_S = 30_000, 3.0, 0.2

# The first line of a container's stderr: Java says which options the machine gave it. It is not the
# program's, and names folders of the machine, so files begin behind it here.
_NOTE = b"NOTE: Picked up JDK_JAVA_OPTIONS"
_NOTED_FILE = "stderr"
_MAX_NOTE = 4096
_MAX_NOTES = 10_000
_FAR = 1 << 60  # an offset behind every file's end
_notes: dict[str, int] = {}

_asking = ThreadPoolExecutor(max_workers=8, thread_name_prefix="logs")
Reader = Callable[[int, int | None], Part | None]


@dataclass(frozen=True)
class JobLog:
    """A log file of a job. `host` is the machine's display name, `size` in bytes."""

    container_id: str
    role: str
    host: str
    file: str
    size: int
    point: int | None = None  # of a sweep


@dataclass(frozen=True)
class _Place:
    """Where a container ran; `host` empty: the meter has not seen it yet."""

    container_id: str
    node_id: str
    host: str = ""


def list_files(job: Job) -> list[JobLog]:
    """Return the log files of all containers, the driver's first.

    Raises NotFoundError once they are deleted because of their age, and UnavailableError if nobody answers.
    """
    return _listed(job) if job.logs_ms is not None else look(job)


def look(job: Job) -> list[JobLog]:
    """Return the log files as the machines and the log server have them now; raises as `list_files` does."""
    return [file for run in store.applications(job) for file in _look(run)]


def _look(job: Job) -> list[JobLog]:
    places = _places(job)
    kept = _after_end(job, places) if job.ended else _meanwhile(job, places)
    if not kept and job.ended:
        _check_gone(job)
    names = _names(places[name] for name in kept)
    return [
        JobLog(name, _role(name), names[name], one.name, _shown_size(job, places[name], one), job.point)
        for name in sorted(kept, key=_order)
        for one in sorted(kept[name], key=lambda file: file.name)
        if one.name not in _HIDDEN
    ]


def _meanwhile(job: Job, places: dict[str, _Place]) -> dict[str, list[LogFile]]:
    kept = _local(list(places.values()))
    return kept if kept and len(kept) == len(places) else _collected(job, places) | kept


def _after_end(job: Job, places: dict[str, _Place]) -> dict[str, list[LogFile]]:
    kept: dict[str, list[LogFile]] = {}
    for _ in _tries(job):
        kept = _collected(job, places)
        missing = [place for name, place in places.items() if name not in kept]
        if not missing or not _just_ended(job):
            break
        # A machine that is deleting lists what is left: what has been collected meanwhile counts.
        kept = _local(missing) | _collected(job, places)
        if any(_role(name) == DRIVER for name in kept):
            break
    return kept


def _tries(job: Job) -> Iterator[None]:
    """Yield once, and again for a while where the files may be with nobody just now."""
    yield
    recent = job.ended_ms is not None and now_ms() - job.ended_ms < _MOMENT_MS
    until = time.monotonic() + (_PATIENCE_S if recent else 0)
    while time.monotonic() < until:
        time.sleep(_PAUSE_S)
        yield


def _listed(job: Job) -> list[JobLog]:
    """Return the list that was made after the job's end; it stays when the files are deleted."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT container_id, role, host, file, size, point FROM log_file"
            " WHERE job_id = %s ORDER BY place",
            [job.job_id],
        )
        return [JobLog(**row._asdict()) for row in cursor.fetchall()]


def tail(job: Job, container_id: str, file: str, size: int) -> tuple[int, Iterator[bytes]]:
    """Return a log file's last `size` bytes in chunks, and the offset at which they begin.

    Raises NotFoundError, UnavailableError.
    """
    whole = _listed_size(job, container_id, file)
    if whole is None:
        run, place = _named(job, container_id, file)
        skipped = _note(run, place) if file == _NOTED_FILE else 0
        part = _part(run, place, file, _FAR, 0)
        if part is None:
            raise _gone(run, place)
        whole = part.file_size - skipped
    offset = max(0, whole - size)
    return offset, read(job, container_id, file, offset)


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


def read(
    job: Job, container_id: str, file: str, offset: int = 0, length: int | None = None
) -> Iterator[bytes]:
    """Return a log file's bytes from an offset, in chunks; past its end nothing.

    Offsets are those of the file as it is shown, and stay the same while it grows and after the job's end.
    Raises NotFoundError for what is not this job's, or is gone; UnavailableError.
    """
    run, place = _named(job, container_id, file)
    skipped = _note(run, place) if file == _NOTED_FILE else 0
    part = _part(run, place, file, offset + skipped, length)
    if part is None:
        raise _gone(run, place)
    return part.chunks


def _named(job: Job, container_id: str, file: str) -> tuple[Job, _Place]:
    """Return the run that a container belongs to, and where it ran.

    Raises NotFoundError for what is not this job's.
    """
    named = _CONTAINER.fullmatch(container_id)
    if not named or file in _HIDDEN or "/" in file:
        raise NotFoundError("The job has no such log file.")
    application = f"application_{named.group(1)}"
    for run in [job] if job.application_id == application else store.applications(job):
        if run.application_id == application:
            return run, _stored(run).get(container_id) or _Place(container_id, "")
    raise NotFoundError("The job has no such log file.")


def _part(job: Job, place: _Place, file: str, offset: int, length: int | None) -> Part | None:
    """Return a stretch of a file from whoever has it."""

    def collected() -> Part | None:
        return job_history().log(place.container_id, file, offset, length)

    def local() -> Part | None:
        address = _address(job, place)
        return node_manager(address).log(place.container_id, file, offset, length) if address else None

    away: ClusterUnavailable | None = None
    for _ in _tries(job):
        for source in (collected, local, collected) if job.ended else (local, collected):
            if source is local and job.ended and not _just_ended(job):
                break
            try:
                if part := source():
                    return part
            except ClusterUnavailable as error:
                away = error
        if away:
            break
    if away and not job.ended:
        raise UnavailableError("The machine does not answer now. Try again in a minute.")
    if away:
        raise UnavailableError("The log server does not answer now. Try again in a minute.")
    return None


def _note(job: Job, place: _Place) -> int:
    """Return how many bytes at the beginning of a stderr are not shown."""
    known = _notes.get(place.container_id)
    if known is not None:
        return known
    part = _part(job, place, _NOTED_FILE, 0, _MAX_NOTE)
    if part is None:
        return 0
    head = b"".join(part.chunks)
    line = head.find(b"\n") + 1
    if line == 0 and len(head) < _MAX_NOTE and _NOTE.startswith(head[: len(_NOTE)]):
        return len(head)  # the line is still being written, or will be: nothing is shown of it
    found = line if head.startswith(_NOTE) else 0
    if len(_notes) >= _MAX_NOTES:
        _notes.clear()
    _notes[place.container_id] = found
    return found


def _shown_size(job: Job, place: _Place, file: LogFile) -> int:
    skipped = _note(job, place) if file.name == _NOTED_FILE and file.size else 0
    return max(0, file.size - skipped)


def _places(job: Job) -> dict[str, _Place]:
    """Return the containers that are known: the meter's, and while there may be newer ones YARN's."""
    found = _stored(job)
    if job.application_id and (not job.ended or _just_ended(job)):
        client = resource_manager()
        live = [(one.container_id, one.node_id) for one in client.containers(job.application_id)]
        drivers = [(one.container_id, one.node_id) for one in client.attempts(job.application_id)]
        for name, node_id in drivers + live:
            if name and node_id and name not in found:
                found[name] = _Place(name, node_id)
    return found


def _stored(job: Job) -> dict[str, _Place]:
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT container_id, node_id, host FROM container_usage"
            " WHERE job_id = %s AND application_id = %s",
            [job.job_id, job.application_id],
        )
        return {
            row.container_id: _Place(row.container_id, row.node_id, row.host) for row in cursor.fetchall()
        }


def _collected(job: Job, places: dict[str, _Place]) -> dict[str, list[LogFile]]:
    """Return the collected files by container; containers that nobody knew are added to `places`."""
    found = job_history().log_files(job.application_id or "")
    for name, (node_id, _) in found.items():
        places.setdefault(name, _Place(name, node_id))
    return {name: files for name, (_, files) in found.items() if _CONTAINER.fullmatch(name)}


def _local(places: list[_Place]) -> dict[str, list[LogFile]]:
    """Return the files that machines still have, by container; a machine that is away has none."""
    addresses = _addresses({place.node_id for place in places})

    def ask(place: _Place) -> list[LogFile] | None:
        address = addresses.get(place.node_id)
        try:
            return node_manager(address).log_files(place.container_id) if address else None
        except ClusterUnavailable:
            return None

    answers = zip(places, _asking.map(ask, places), strict=True)
    return {place.container_id: files for place, files in answers if files is not None}


def _addresses(node_ids: set[str]) -> dict[str, str]:
    client = resource_manager()
    found = {node_id: client.node(node_id) for node_id in node_ids if node_id}
    return {node_id: node.http_address for node_id, node in found.items() if node and node.http_address}


def _address(job: Job, place: _Place) -> str | None:
    if not place.node_id:
        place = _places(job).get(place.container_id, place)
    return _addresses({place.node_id}).get(place.node_id)


def _names(places: Iterable[_Place]) -> dict[str, str]:
    """Return the display names of the machines by container."""
    found = list(places)
    pairs = {
        tuple(place.node_id.rsplit(":", 1)) for place in found if not place.host and ":" in place.node_id
    }
    known: dict[str, str] = {}
    if pairs:
        with database.transaction() as cursor:
            cursor.execute(
                "SELECT DISTINCT ON (ip_address, service_port) ip_address || ':' || service_port AS node_id,"
                " display_name FROM machine WHERE (ip_address, service_port::text) IN %s"
                " ORDER BY ip_address, service_port, created_ms DESC",
                [tuple(pairs)],
            )
            known = {row.node_id: row.display_name for row in cursor.fetchall()}
    return {place.container_id: place.host or known.get(place.node_id, "a machine") for place in found}


def _role(container_id: str) -> str:
    """Return `driver` for an attempt's first container, which YARN starts the application with."""
    return DRIVER if _order(container_id)[2] == 1 else EXECUTOR


def _order(container_id: str) -> tuple[bool, int, int]:
    named = _CONTAINER.fullmatch(container_id)
    attempt, number = (int(named.group(2)), int(named.group(3))) if named else (0, 0)
    return number != 1, attempt, number


def _just_ended(job: Job) -> bool:
    return job.ended_ms is not None and now_ms() - job.ended_ms < _HANDOVER_MS


def _check_gone(job: Job) -> None:
    """Raise NotFoundError if the logs were deleted because of their age, ClusterUnavailable if HDFS is away.

    The log server answers alike when it has none and when it cannot read them.
    """
    hdfs().status("/")
    kept_s = load().jobs.result_retention_s
    if job.ended_ms is not None and now_ms() - job.ended_ms > kept_s * 1000:
        days = kept_s // 86_400
        raise NotFoundError(f"Logs are kept for {days} days after a job's end; this job's are deleted.")


def _gone(job: Job, place: _Place) -> NotFoundError:
    """Return why a file that was asked for is not there, in words."""
    with database.transaction() as cursor:
        cursor.execute("SELECT end_kind FROM container_usage WHERE container_id = %s", [place.container_id])
        row = cursor.fetchone()
    if row and row.end_kind == NODE_LOST:
        return NotFoundError(
            f"The machine {place.host} was lost before it handed over its logs: they are gone."
        )
    if job.ended:
        try:
            _check_gone(job)
        except NotFoundError as error:
            return error
        if _just_ended(job):
            return NotFoundError("There is no such log file, or it is still being collected: try again soon.")
    return NotFoundError("The job has no such log file.")
