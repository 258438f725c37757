"""The log of the building of a job's packages, among the job's log files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from market.cluster.clients import hdfs
from market.cluster.errors import HdfsDenied
from market.hadoop import paths
from market.hadoop.paths import JobFolder
from market.kit.errors import NotFoundError

if TYPE_CHECKING:
    from market.jobs.store import Job

# It stands in the place of a container's id and role.
CONTAINER, ROLE, FILE, HOST = "environment", "environment", "build.log", "the market"


def write(folder: JobFolder, username: str, lines: Sequence[str]) -> None:
    """Write the log, in the place of that of an earlier try; it is the job's owner's."""
    own = hdfs().as_user(username)
    own.mkdirs(folder, permission="700")
    own.create(paths.environment_log(folder), ["".join(f"{line}\n" for line in lines).encode()])


def size(job: Job) -> int | None:
    """Return its bytes; None if there is none."""
    if not job.spec.builds:
        return None
    try:
        status = hdfs().as_user(job.username).status(paths.environment_log(job.folder))
    except HdfsDenied:  # the job's folder is not made yet
        return None
    return None if status is None else status.size


def read(job: Job, file: str, offset: int, length: int | None) -> Iterator[bytes]:
    """Return its bytes from an offset, past its end nothing. Raises NotFoundError."""
    whole = size(job) if file == FILE else None
    if whole is None:
        raise NotFoundError("The job has no such log file.")
    if offset >= whole or length == 0:
        return iter(())
    return hdfs().as_user(job.username).open(paths.environment_log(job.folder), offset, length)
