"""What a poll adds to the meter's tables, in the caller's transaction. See sql/schema/0005_metering.sql.

The lock is the mark's row: `save_mark` takes it before anything else is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg2.extras import execute_batch, execute_values

from market.cluster.resourcemanager import App, Partition
from market.kit.database import Cursor
from market.metering.queries import Mark
from market.metering.usage import Ending

_MAX_ATTEMPTS = 10  # more than YARN makes of one application


def save_mark(cursor: Cursor, mark: Mark) -> bool:
    """Move the mark on; tell whether it moved (False: another poll that began later has been written)."""
    cursor.execute(
        "INSERT INTO meter_mark VALUES (1, %s, %s) ON CONFLICT (id) DO UPDATE"
        " SET at_ms = excluded.at_ms, epoch_ms = excluded.epoch_ms WHERE meter_mark.at_ms < excluded.at_ms",
        [mark.at_ms, mark.epoch_ms],
    )
    moved: bool = cursor.rowcount == 1
    return moved


def set_back(cursor: Cursor, last: Mark, mark: Mark) -> bool:
    """Move the mark back, after the clock; tell whether it moved (False: another poll was written)."""
    cursor.execute(
        "UPDATE meter_mark SET at_ms = %s, epoch_ms = %s WHERE at_ms = %s",
        [mark.at_ms, mark.epoch_ms, last.at_ms],
    )
    moved: bool = cursor.rowcount == 1
    return moved


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
    """Add containers of an application that are observed for the first time.

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


def save_live(cursor: Cursor, container_ids: Sequence[str], at_ms: int) -> None:
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
    """Write that machines were online.

    A machine's last stretch goes on; after a gap of more than `gap_ms`, or with a new size, one begins.
    """
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
    """Take back the time for which machines had been silent when YARN declared them lost."""
    cursor.execute(
        "UPDATE machine_presence SET to_ms = greatest(from_ms, %s)"
        " WHERE machine_id = ANY (%s) AND to_ms > %s",
        [silent_since_ms, list(machine_ids), silent_since_ms],
    )


def save_samples(cursor: Cursor, partitions: Iterable[Partition], at_ms: int) -> None:
    """Write what each partition has and uses."""
    demand_rows = [
        (
            *(at_ms, partition.label, partition.total_mib, partition.total_vcores),
            *(partition.used_mib, partition.used_vcores, partition.pending_mib, partition.pending_vcores),
        )
        for partition in partitions
    ]
    if demand_rows:
        execute_values(cursor, "INSERT INTO demand_sample VALUES %s ON CONFLICT DO NOTHING", demand_rows)


def forget_samples(cursor: Cursor, before_ms: int) -> int:
    """Delete samples older than `before_ms`, but none that a settlement still needs; return how many."""
    cursor.execute("DELETE FROM node_sample WHERE at_ms < %s", [before_ms])  # of earlier releases
    deleted = int(cursor.rowcount)
    cursor.execute(
        "DELETE FROM demand_sample"
        " WHERE at_ms < least(%s, (SELECT coalesce(max(until_ms), 0) - 60000 FROM settlement))",
        [before_ms],
    )
    return deleted + int(cursor.rowcount)
