"""Rows of the table `verification`: what canaries measured, and which machine is to be measured next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg2.errors

from market.kit import clock, database
from market.kit.vocabulary import ACTIVE, GOOD, POOR
from market.machines.machine import COLUMNS, Machine

MOST_TRUST = 10  # as in BOINC: ten good results in a row
_LOSS_SEEN_MS = 86_400_000


@dataclass(frozen=True)
class Open:
    """A canary on its way."""

    verification_id: str
    machine_id: str
    core_count: int
    started_ms: int

    @property
    def tag(self) -> str:
        """Return the tag of its application."""
        return f"canary-{self.verification_id}"


@dataclass(frozen=True)
class Speeds:
    """Thousands of steps a second of one core alone and of all together; memory in MiB a second."""

    one_core: int
    all_cores: int
    memory_mib_s: int


def open_one(cursor: database.Cursor) -> Open | None:
    """Return the canary that is on its way, if one is."""
    cursor.execute(
        "SELECT verification_id, machine_id, core_count, started_ms FROM verification WHERE ended_ms IS NULL"
    )
    row = cursor.fetchone()
    return Open(*row) if row else None


def begin(cursor: database.Cursor, machine_id: str, core_count: int, at_ms: int) -> Open | None:
    """Note that a canary starts; None if another one is on its way (the transaction is over then)."""
    canary = Open(clock.new_id(), machine_id, core_count, at_ms)
    try:
        cursor.execute(
            "INSERT INTO verification (verification_id, machine_id, core_count, started_ms)"
            " VALUES (%s, %s, %s, %s)",
            [canary.verification_id, machine_id, core_count, at_ms],
        )
    except psycopg2.errors.UniqueViolation:
        return None
    return canary


def end(
    cursor: database.Cursor, canary: Open, outcome: str, detail: str, speeds: Speeds | None, at_ms: int
) -> None:
    """Write down what a canary measured."""
    cursor.execute(
        "UPDATE verification SET ended_ms = %s, outcome = %s, detail = %s, one_core_speed = %s,"
        " all_core_speed = %s, memory_mib_s = %s WHERE verification_id = %s AND ended_ms IS NULL",
        [
            *(at_ms, outcome, detail),
            *((speeds.one_core, speeds.all_cores, speeds.memory_mib_s) if speeds else (None, None, None)),
            canary.verification_id,
        ],
    )


def due(cursor: database.Cursor, at_ms: int, idle_ms: int) -> list[Machine]:
    """Return the active lent machines that are to be measured: first those for which somebody asked.

    Any other must have been active, and without a container, for `idle_ms`.
    """
    columns = ", ".join(f"m.{name.strip()}" for name in COLUMNS.split(","))
    cursor.execute(
        f"SELECT {columns} FROM machine m"  # noqa: S608
        " WHERE m.state = %(active)s AND m.user_id IS NOT NULL AND (m.verify_due_ms = 0"
        "   OR (m.active_ms <= %(at)s - %(idle)s AND coalesce(m.verify_due_ms, 0) <= %(at)s"
        "       AND NOT EXISTS (SELECT FROM container_usage c WHERE c.machine_id = m.machine_id"
        "           AND coalesce(c.end_ms, 9223372036854775807) > %(at)s - %(idle)s)))"
        " ORDER BY coalesce(m.verify_due_ms, m.active_ms), m.machine_id LIMIT 20",
        {"active": ACTIVE, "at": at_ms, "idle": idle_ms},
    )
    return [Machine(*row) for row in cursor.fetchall()]


def somebody_waits(cursor: database.Cursor, machine_type: str, since_ms: int) -> bool:
    """Tell whether a job that was submitted since then waits for machines of a type, or for its start.

    One whose driver runs waits until it has an executor.
    """
    cursor.execute(
        "SELECT EXISTS (SELECT FROM job WHERE ended_ms IS NULL AND machine_type = %s AND added_ms > %s"
        " AND (status IN ('submitted', 'queued', 'accepted') OR (status = 'running' AND NOT EXISTS ("
        "  SELECT FROM container_usage c WHERE c.job_id = job.job_id AND c.role = 'executor')))) AS waits",
        [machine_type, since_ms],
    )
    return bool(cursor.fetchone().waits)


def former_speed(cursor: database.Cursor, machine_id: str) -> int:
    """Return the median of the last ten good speeds of one core, 0 if there is none."""
    cursor.execute(
        "SELECT coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY one_core_speed), 0) AS speed FROM ("
        " SELECT one_core_speed FROM verification WHERE machine_id = %s AND outcome = %s"
        " ORDER BY started_ms DESC LIMIT 10) last_ones",
        [machine_id, GOOD],
    )
    return int(cursor.fetchone().speed)


def poor_ones(cursor: database.Cursor, machine_id: str) -> int:
    """Return how many of a machine's last results, since the last good one, were poor."""
    cursor.execute(
        "SELECT count(*) AS n FROM verification WHERE machine_id = %(machine)s AND outcome = %(poor)s"
        " AND started_ms > coalesce((SELECT max(started_ms) FROM verification"
        "     WHERE machine_id = %(machine)s AND outcome = %(good)s), 0)",
        {"machine": machine_id, "poor": POOR, "good": GOOD},
    )
    return int(cursor.fetchone().n)


def last_ms(cursor: database.Cursor, machine_id: str) -> int:
    """Return when the last canary started on a machine, 0 if none did."""
    cursor.execute(
        "SELECT coalesce(max(started_ms), 0) AS at_ms FROM verification WHERE machine_id = %s", [machine_id]
    )
    return int(cursor.fetchone().at_ms)


def count_losses(cursor: database.Cursor, at_ms: int) -> int:
    """Take the trust from machines that lost a container since losses were last counted; return how many."""
    cursor.execute(
        "UPDATE machine m SET trust = 0, trust_ms = lost.end_ms FROM ("
        "  SELECT machine_id, max(end_ms) AS end_ms FROM container_usage"
        "  WHERE coalesce(end_ms, 9223372036854775807) BETWEEN %s AND %s AND end_kind = 'node_lost'"
        "  GROUP BY machine_id) lost"
        " WHERE m.machine_id = lost.machine_id AND lost.end_ms > m.trust_ms",
        [at_ms - _LOSS_SEEN_MS, at_ms + _LOSS_SEEN_MS],
    )
    return int(cursor.rowcount)


def records(cursor: database.Cursor, machine_id: str) -> list[dict[str, Any]]:
    """Return a machine's results as the routes and the pages show them, newest first."""
    cursor.execute(
        "SELECT verification_id, core_count, started_ms, ended_ms, outcome, detail, one_core_speed,"
        " all_core_speed, memory_mib_s FROM verification WHERE machine_id = %s"
        " ORDER BY started_ms DESC LIMIT 200",
        [machine_id],
    )
    return [
        {
            "verification_id": row.verification_id,
            "core_count": row.core_count,
            "start_time": row.started_ms,
            "end_time": row.ended_ms,
            "outcome": row.outcome or "running",
            "detail": row.detail,
            "core_speed": row.one_core_speed,
            "speed": row.all_core_speed,
            "memory_speed": row.memory_mib_s,
        }
        for row in cursor.fetchall()
    ]
