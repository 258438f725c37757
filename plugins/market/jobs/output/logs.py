"""The list of a job's log files: made anew while it runs, and kept after its end, when files are deleted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from market.cluster.container_logs import LogFile
from market.jobs import runs
from market.jobs.output import build_log, log_places, log_reader
from market.jobs.output.log_places import Place
from market.jobs.runs import Run
from market.kit import database
from market.kit.errors import UnavailableError
from market.kit.vocabulary import DRIVER

if TYPE_CHECKING:
    from market.jobs.store import Job


# How long one machine is asked, for one list, how much of its files is not shown.
_MACHINE_S = 10.0


@dataclass(frozen=True)
class JobLog:
    """A log file of a job. `host` is the machine's display name, `size` in bytes."""

    container_id: str
    role: str
    host: str
    file: str
    size: int
    point: int | None = None  # of a sweep


def list_files(job: Job) -> list[JobLog]:
    """Return the log files of all containers, the driver's first.

    Raises NotFoundError once they are deleted because of their age, and UnavailableError if nobody answers.
    """
    built = build_log.size(job)
    of_packages = [JobLog(build_log.CONTAINER, build_log.ROLE, build_log.HOST, build_log.FILE, built or 0)]
    found = _listed(job) if job.logs_ms is not None else look(job)
    return found if built is None else [*found, *of_packages]


def look(job: Job) -> list[JobLog]:
    """Return the log files as the machines and the log server have them now; raises as `list_files` does."""
    return [file for run in runs.with_application(job) for file in _look(run)]


def _look(run: Run) -> list[JobLog]:
    places = log_places.known(run)
    files = _after_end(run, places) if run.ended else _meanwhile(run, places)
    if not files and run.ended:
        log_reader.check_kept(run)
    hosts = log_places.display_names(places[container_id] for container_id in files)
    sizes = _Sizes(run)
    return [
        JobLog(
            container_id,
            log_places.role(container_id),
            hosts[container_id],
            file.name,
            sizes.of(places[container_id], file),
            run.place,
        )
        for container_id in sorted(files, key=log_places.order)
        for file in sorted(files[container_id], key=lambda file: file.name)
        if file.name not in log_places.HIDDEN
    ]


class _Sizes:
    """The sizes that are shown. What a slow machine has of a running job is shown as large as it says."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._spent_s: dict[str, float] = {}  # by machine

    def of(self, place: Place, file: LogFile) -> int:
        """Return a file's size. Raises UnavailableError for an ended job."""
        if not self._run.ended and self._spent_s.get(place.node_id, 0.0) > _MACHINE_S:
            return file.size
        began = time.monotonic()
        try:
            return log_reader.shown_size(self._run, place, file)
        except UnavailableError:
            if self._run.ended:
                raise
            self._spent_s[place.node_id] = _MACHINE_S
            return file.size
        finally:
            took_s = time.monotonic() - began
            self._spent_s[place.node_id] = self._spent_s.get(place.node_id, 0.0) + took_s


def _meanwhile(run: Run, places: dict[str, Place]) -> dict[str, list[LogFile]]:
    files = log_places.local(list(places.values()))
    return files if files and len(files) == len(places) else log_places.collected(run, places) | files


def _after_end(run: Run, places: dict[str, Place]) -> dict[str, list[LogFile]]:
    files: dict[str, list[LogFile]] = {}
    for _ in log_places.tries(run):
        files = log_places.collected(run, places)
        missing = [place for container_id, place in places.items() if container_id not in files]
        if not missing or not log_places.just_ended(run):
            break
        # A machine that is deleting lists what is left: what has been collected meanwhile counts.
        files = log_places.local(missing) | log_places.collected(run, places)
        if any(log_places.role(container_id) == DRIVER for container_id in files):
            break
    return files


def _listed(job: Job) -> list[JobLog]:
    """Return the list that was made after the job's end; it stays when the files are deleted."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT container_id, role, host, file, size, point FROM log_file"
            " WHERE job_id = %s ORDER BY place",
            [job.job_id],
        )
        return [JobLog(**row._asdict()) for row in cursor.fetchall()]
