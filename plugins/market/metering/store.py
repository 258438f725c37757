"""The meter's tables: what earlier polls left, and what a poll adds. See sql/schema/0005_metering.sql."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2.extras import execute_batch, execute_values

from market.cluster.resourcemanager import App, Node, Partition
from market.kit.database import Cursor
from market.metering.usage import Ending, KnownApplication, KnownContainer, Machine

_APPLICATION = (
    "application_id, job_id, epoch_ms, vcore_seconds, memory_mib_seconds, preempted_memory_mib_seconds,"
    " state, last_seen_ms"
)
_CONTAINER = (
    "container_id, application_id, role, node_id, vcores, memory_mib, start_ms, last_seen_ms, end_ms, gone_ms"
)

_MAX_ATTEMPTS = 10  # more than YARN makes of one application


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


def mark(cursor: Cursor) -> Mark:
    """Return the last poll's mark."""
    cursor.execute("SELECT at_ms, epoch_ms FROM meter_mark")
    row = cursor.fetchone()
    return Mark(row.at_ms, row.epoch_ms) if row else Mark()


def open_applications(cursor: Cursor) -> dict[str, KnownApplication]:
    """Return the applications whose usage is not final, by their id."""
    cursor.execute(f"SELECT {_APPLICATION} FROM application_usage WHERE NOT final")  # noqa: S608
    return {row.application_id: KnownApplication(*row) for row in cursor.fetchall()}


def final_ones(cursor: Cursor, application_ids: Iterable[str]) -> set[str]:
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
        " (spec->>'executor_cores')::integer AS executor_cores, machine_type"
        " FROM job JOIN member USING (user_id) WHERE job_id = ANY (%s)",
        [list(tags)],
    )
    return {row.job_id: TaggedJob(*row) for row in cursor.fetchall()}


def canaries(cursor: Cursor, since_ms: int) -> set[str]:
    """Return the tags of the market's own measurements that had not ended by then.

    They are nobody's job, and cost nothing.
    """
    cursor.execute(
        "SELECT 'canary-' || verification_id AS tag FROM verification"
        " WHERE ended_ms IS NULL OR ended_ms > %s",
        [since_ms],
    )
    return {row.tag for row in cursor.fetchall()}


def containers(cursor: Cursor, application_ids: Iterable[str]) -> dict[str, list[KnownContainer]]:
    """Return all containers of these applications, by the application."""
    cursor.execute(
        f"SELECT {_CONTAINER} FROM container_usage WHERE application_id = ANY (%s)"  # noqa: S608
        " ORDER BY start_ms, container_id",
        [list(application_ids)],
    )
    found: dict[str, list[KnownContainer]] = {}
    for row in cursor.fetchall():
        found.setdefault(row.application_id, []).append(KnownContainer(*row))
    return found


def machines(cursor: Cursor, verified_only: bool) -> dict[str, Machine]:
    """Return the machines by node (host:port): of several registrations the live one, else the newest.

    Online time earns the stipend; with `verified_only` that of machines which were measured and found good.
    """
    cursor.execute(
        "SELECT DISTINCT ON (node) ip_address || ':' || service_port AS node, machine_id, display_name,"
        " state = 'active' AND (verified_ms IS NOT NULL OR NOT %s) AS earns FROM machine"
        " WHERE state <> 'rejected' ORDER BY node, state = 'left', created_ms DESC",
        [verified_only],
    )
    return {row.node: Machine(row.machine_id, row.display_name, row.earns) for row in cursor.fetchall()}


def gaps(cursor: Cursor, since_ms: int) -> list[tuple[int, int]]:
    """Return the times after `since_ms` in which the meter did not look."""
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


def save_mark(cursor: Cursor, made: Mark) -> bool:
    """Move the mark on; tell whether it moved (False: another poll that began later has been written)."""
    cursor.execute(
        "INSERT INTO meter_mark VALUES (1, %s, %s) ON CONFLICT (id) DO UPDATE"
        " SET at_ms = excluded.at_ms, epoch_ms = excluded.epoch_ms WHERE meter_mark.at_ms < excluded.at_ms",
        [made.at_ms, made.epoch_ms],
    )
    moved: bool = cursor.rowcount == 1
    return moved


def place_of(cursor: Cursor, application_id: str, job_id: str) -> int:
    """Return which of its job's applications one is, from 0: as it is stored, else as it will be."""
    cursor.execute(
        "SELECT coalesce((SELECT place FROM application_usage WHERE application_id = %s),"
        " (SELECT count(*) FROM application_usage WHERE job_id = %s))::integer AS place",
        [application_id, job_id],
    )
    place: int = cursor.fetchone().place
    return place


def save_application(cursor: Cursor, app: App, job_id: str, epoch_ms: int, at_ms: int) -> None:
    """Write an application's totals; they never fall."""
    cursor.execute(
        "INSERT INTO application_usage AS u (application_id, job_id, epoch_ms, vcore_seconds,"
        " memory_mib_seconds, preempted_vcore_seconds, preempted_memory_mib_seconds, state, started_ms,"
        " finished_ms, last_seen_ms, place)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, nullif(%s, 0), nullif(%s, 0), %s,"
        "  (SELECT count(*) FROM application_usage WHERE job_id = %s))"
        " ON CONFLICT (application_id) DO UPDATE SET"
        "  epoch_ms = excluded.epoch_ms,"
        "  vcore_seconds = greatest(u.vcore_seconds, excluded.vcore_seconds),"
        "  memory_mib_seconds = greatest(u.memory_mib_seconds, excluded.memory_mib_seconds),"
        "  preempted_vcore_seconds = greatest(u.preempted_vcore_seconds, excluded.preempted_vcore_seconds),"
        "  preempted_memory_mib_seconds = greatest(u.preempted_memory_mib_seconds,"
        "      excluded.preempted_memory_mib_seconds),"
        "  state = excluded.state, started_ms = coalesce(u.started_ms, excluded.started_ms),"
        "  finished_ms = excluded.finished_ms, last_seen_ms = excluded.last_seen_ms"
        " WHERE NOT u.final",
        [
            *(app.application_id, job_id, epoch_ms, app.vcore_seconds, app.memory_seconds),
            *(app.preempted_vcore_seconds, app.preempted_memory_seconds, app.state),
            *(app.started_ms, app.finished_ms, at_ms, job_id),
        ],
    )


def save_final(cursor: Cursor, application_ids: Sequence[str], at_ms: int) -> None:
    """Close applications whose usage is complete."""
    cursor.execute(
        "UPDATE application_usage SET final = true, final_ms = %s"
        " WHERE application_id = ANY (%s) AND NOT final",
        [at_ms, list(application_ids)],
    )


def save_containers(cursor: Cursor, rows: Sequence[Mapping[str, Any]], place: int) -> None:
    """Add containers of an application that are seen for the first time.

    `place` is the application's among its job's: attempts are counted through all of them, so that one can be
    refunded by itself.
    """
    if not rows:
        return
    names = list(rows[0])
    numbered = [{**row, "attempt": row["attempt"] + place * _MAX_ATTEMPTS} for row in rows]
    execute_values(
        cursor,
        f"INSERT INTO container_usage ({', '.join(names)}) VALUES %s"  # noqa: S608
        " ON CONFLICT (container_id) DO NOTHING",
        [tuple(row[name] for name in names) for row in numbered],
    )


def save_seen(cursor: Cursor, container_ids: Sequence[str], at_ms: int) -> None:
    """Write that containers were still there at a poll."""
    cursor.execute(
        "UPDATE container_usage SET last_seen_ms = greatest(last_seen_ms, %s), gone_ms = NULL"
        " WHERE container_id = ANY (%s) AND end_ms IS NULL",
        [at_ms, list(container_ids)],
    )


def save_gone(cursor: Cursor, container_ids: Sequence[str], at_ms: int) -> None:
    """Write that containers of an ended application were there no more at a poll."""
    cursor.execute(
        "UPDATE container_usage SET gone_ms = %s"
        " WHERE container_id = ANY (%s) AND end_ms IS NULL AND gone_ms IS NULL",
        [at_ms, list(container_ids)],
    )


def save_endings(cursor: Cursor, endings: Sequence[Ending]) -> None:
    """End containers."""
    execute_batch(
        cursor,
        "UPDATE container_usage SET end_ms = %s, end_kind = %s WHERE container_id = %s AND end_ms IS NULL",
        [(ending.end_ms, ending.kind, ending.container_id) for ending in endings],
    )


def save_presence(cursor: Cursor, machine_ids: Sequence[str], at_ms: int, gap_ms: int) -> None:
    """Write that machines were online: the stretch goes on; after a gap or with a new size one begins."""
    cursor.execute(
        "WITH gone_on AS ("
        "  UPDATE machine_presence p SET to_ms = %(at)s FROM machine m"
        "  WHERE m.machine_id = p.machine_id AND p.machine_id = ANY (%(ids)s)"
        "  AND p.to_ms BETWEEN %(at)s - %(gap)s AND %(at)s"
        "  AND NOT EXISTS (SELECT FROM machine_presence later"
        "                  WHERE later.machine_id = p.machine_id AND later.from_ms > p.from_ms)"
        "  RETURNING p.machine_id, p.cores = m.core_count AS same)"
        " INSERT INTO machine_presence"
        " SELECT machine_id, %(at)s, %(at)s, core_count FROM machine WHERE machine_id = ANY (%(ids)s)"
        " AND machine_id NOT IN (SELECT machine_id FROM gone_on WHERE same) ON CONFLICT DO NOTHING",
        {"ids": list(machine_ids), "at": at_ms, "gap": gap_ms},
    )


def shorten_presence(cursor: Cursor, machine_ids: Sequence[str], silent_since_ms: int) -> None:
    """Take back the time in which machines that were found lost had been silent."""
    cursor.execute(
        "UPDATE machine_presence SET to_ms = greatest(from_ms, %s)"
        " WHERE machine_id = ANY (%s) AND to_ms > %s",
        [silent_since_ms, list(machine_ids), silent_since_ms],
    )


def save_samples(
    cursor: Cursor,
    nodes: Iterable[Node],
    partitions: Iterable[Partition],
    known: Mapping[str, Machine],
    at_ms: int,
) -> None:
    """Write what each node and each partition has and uses."""
    node_rows: list[tuple[Any, ...]] = [
        (
            *(at_ms, one.node_id, known[one.node_id].machine_id if one.node_id in known else None, one.state),
            *(one.total_mib, one.total_vcores, one.used_mib, one.used_vcores),
        )
        for one in nodes
    ]
    if node_rows:
        execute_values(cursor, "INSERT INTO node_sample VALUES %s ON CONFLICT DO NOTHING", node_rows)
    demand_rows = [
        (
            *(at_ms, one.label, one.total_mib, one.total_vcores, one.used_mib, one.used_vcores),
            *(one.pending_mib, one.pending_vcores),
        )
        for one in partitions
    ]
    if demand_rows:
        execute_values(cursor, "INSERT INTO demand_sample VALUES %s ON CONFLICT DO NOTHING", demand_rows)


def last_sample_ms(cursor: Cursor) -> int:
    """Return when samples were written last, 0 if never."""
    cursor.execute("SELECT coalesce(max(at_ms), 0) AS at_ms FROM demand_sample")
    return int(cursor.fetchone().at_ms)


def forget_samples(cursor: Cursor, before_ms: int) -> int:
    """Delete samples older than `before_ms`, but none that a settlement still needs; return how many."""
    cursor.execute("DELETE FROM node_sample WHERE at_ms < %s", [before_ms])
    deleted = int(cursor.rowcount)
    cursor.execute(
        "DELETE FROM demand_sample"
        " WHERE at_ms < least(%s, (SELECT coalesce(max(until_ms), 0) - 60000 FROM settlement))",
        [before_ms],
    )
    return deleted + int(cursor.rowcount)


def warn(cursor: Cursor, kind: str, subject: str, detail: str, at_ms: int) -> None:
    """Raise an alert, once for each subject."""
    cursor.execute(
        "INSERT INTO alert (at_ms, kind, subject, detail) SELECT %s, %s, %s, %s"
        " WHERE NOT EXISTS (SELECT FROM alert WHERE kind = %s AND subject = %s)"
        " ON CONFLICT DO NOTHING",
        [at_ms, kind, subject, detail, kind, subject],
    )
