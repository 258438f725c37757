"""What earlier polls left in the meter's tables, read in the caller's snapshot: of one moment.

See sql/schema/0005_metering.sql.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from market.hadoop import paths
from market.hadoop.paths import JobFolder
from market.kit.database import Cursor
from market.metering.usage import KnownApplication, KnownContainer, Machine

_APPLICATION = (
    "application_id, job_id, epoch_ms, vcore_seconds, memory_mib_seconds, preempted_memory_mib_seconds,"
    " state, last_seen_ms"
)
_CONTAINER = (
    "container_id, application_id, role, node_id, vcores, memory_mib, start_ms, last_seen_ms, end_ms, gone_ms"
)
_LEFT_MS = 86_400_000


@dataclass(frozen=True)
class Mark:
    """The last complete poll; 0: there was none."""

    at_ms: int = 0
    epoch_ms: int = 0


@dataclass(frozen=True)
class TaggedJob:
    """The job that an application's tag names, as far as its containers' sizes are concerned."""

    job_id: str
    username: str
    driver_memory_mib: int | None
    executor_memory_mib: int
    executor_cores: int
    machine_type: str
    folder: JobFolder


def mark(cursor: Cursor) -> Mark:
    """Return the last poll's mark."""
    cursor.execute("SELECT at_ms, epoch_ms FROM meter_mark")
    row = cursor.fetchone()
    return Mark(row.at_ms, row.epoch_ms) if row else Mark()


def open_applications(cursor: Cursor) -> dict[str, KnownApplication]:
    """Return the applications whose usage is not final, by their id."""
    cursor.execute(f"SELECT {_APPLICATION} FROM application_usage WHERE NOT final")  # noqa: S608
    return {row.application_id: KnownApplication(*row) for row in cursor.fetchall()}


def final_applications(cursor: Cursor, application_ids: Iterable[str]) -> set[str]:
    """Return which of these applications are final: they are never read again."""
    cursor.execute(
        "SELECT application_id FROM application_usage WHERE final AND application_id = ANY (%s)",
        [list(application_ids)],
    )
    return {row.application_id for row in cursor.fetchall()}


def tagged_jobs(cursor: Cursor, tags: Iterable[str]) -> dict[str, TaggedJob]:
    """Return the jobs that these tags name, by the tag."""
    cursor.execute(
        "SELECT job_id, username, (spec->>'driver_memory')::integer AS driver_memory_mib,"
        " (spec->>'executor_memory')::integer AS executor_memory_mib,"
        " (spec->>'executor_cores')::integer AS executor_cores, machine_type, folder"
        " FROM job JOIN member USING (user_id) WHERE job_id = ANY (%s)",
        [list(tags)],
    )
    jobs = [TaggedJob(*row) for row in cursor.fetchall()]
    return {job.job_id: replace(job, folder=paths.stored_folder(job.job_id, job.folder)) for job in jobs}


def containers(cursor: Cursor, application_ids: Iterable[str]) -> dict[str, list[KnownContainer]]:
    """Return all containers of these applications, by the application."""
    cursor.execute(
        f"SELECT {_CONTAINER} FROM container_usage WHERE application_id = ANY (%s)"  # noqa: S608
        " ORDER BY start_ms, container_id",
        [list(application_ids)],
    )
    by_application: dict[str, list[KnownContainer]] = {}
    for row in cursor.fetchall():
        by_application.setdefault(row.application_id, []).append(KnownContainer(*row))
    return by_application


def machines(cursor: Cursor, verified_only: bool, at_ms: int) -> dict[str, Machine]:
    """Return the machines by node (host:port): of several registrations the live one, else the newest.

    Those that had left a day before `at_ms` are none: no container outlives its machine for so long.
    Online time earns the stipend; with `verified_only` that of machines which were measured and found good.
    """
    cursor.execute(
        "SELECT DISTINCT ON (node) ip_address || ':' || service_port AS node, machine_id, display_name,"
        " state = 'active' AND (verified_ms IS NOT NULL OR NOT %s) AS earns"
        " FROM (SELECT * FROM machine"
        "       WHERE state IN ('offered', 'joining', 'active', 'draining', 'resting', 'lost')"
        "       UNION ALL SELECT * FROM machine WHERE state = 'left' AND left_ms > %s) known"
        " ORDER BY node, state = 'left', created_ms DESC",
        [verified_only, at_ms - _LEFT_MS],
    )
    return {row.node: Machine(row.machine_id, row.display_name, row.earns) for row in cursor.fetchall()}


def gaps(cursor: Cursor, since_ms: int) -> list[tuple[int, int]]:
    """Return the times after `since_ms` in which the meter did not poll."""
    cursor.execute("SELECT from_ms, to_ms FROM meter_gap WHERE to_ms > %s", [since_ms])
    return [(row.from_ms, row.to_ms) for row in cursor.fetchall()]


def machine_at(cursor: Cursor, node_id: str, machine_type: str, from_ms: int, to_ms: int) -> Machine | None:
    """Return the machine of a type that was online at a node in that time, None if none was."""
    cursor.execute(
        "SELECT machine_id, display_name, state = 'active' AS active FROM machine m"
        " WHERE ip_address || ':' || service_port = %s AND machine_type = %s"
        " AND EXISTS (SELECT FROM machine_presence p WHERE p.machine_id = m.machine_id"
        "             AND p.from_ms <= %s AND p.to_ms >= %s)"
        " ORDER BY created_ms DESC LIMIT 1",
        [node_id, machine_type, to_ms, from_ms],
    )
    row = cursor.fetchone()
    return Machine(*row) if row else None


def place_of(cursor: Cursor, application_id: str, job_id: str) -> int:
    """Return an application's place among its job's, from 0: as it is stored, else as it will be."""
    cursor.execute(
        "SELECT coalesce((SELECT place FROM application_usage WHERE application_id = %s),"
        " (SELECT count(*) FROM application_usage WHERE job_id = %s))::integer AS place",
        [application_id, job_id],
    )
    place: int = cursor.fetchone().place
    return place


def last_sample_ms(cursor: Cursor) -> int:
    """Return when samples were written last, 0 if never."""
    cursor.execute("SELECT coalesce(max(at_ms), 0) AS at_ms FROM demand_sample")
    return int(cursor.fetchone().at_ms)
