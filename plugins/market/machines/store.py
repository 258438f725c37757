"""Rows of the table `machine`, and what a machine has earned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2.errors

from market import db
from market.credits.units import format_credits
from market.errors import ConflictError
from market.paging import Listing, Page

OFFERED, JOINING, ACTIVE, DRAINING = "offered", "joining", "active", "draining"
LEFT, LOST, REJECTED = "left", "lost", "rejected"
LIVE = (OFFERED, JOINING, ACTIVE, DRAINING, LOST)
_SHOWN = (JOINING, ACTIVE, DRAINING, LOST)  # on the market: what is in the pool, or was a moment ago

# Field of the record -> column.
ORDER = {
    "created_time": "created_ms",
    "lease_end": "lease_end_ms",
    "display_name": "display_name",
    "machine_type": "machine_type",
    "core_count": "core_count",
    "memory_size": "memory_mib",
    "availability": "state",
}


@dataclass(frozen=True)
class Machine:
    """A registered machine. `user_id` None: the pool's own. Times are epoch ms."""

    machine_id: str
    user_id: str | None
    machine_type: str
    display_name: str
    ip_address: str
    service_port: int
    core_count: int
    memory_mib: int
    time_period_s: int
    state: str
    reason: str
    token_sha256: str | None
    created_ms: int
    active_ms: int | None
    drain_ms: int | None
    drain_now: bool
    left_ms: int | None
    lease_end_ms: int
    joined_ms: int | None = None

    @property
    def node_id(self) -> str:
        """Return how the ResourceManager calls its NodeManager."""
        return f"{self.ip_address}:{self.service_port}"

    @property
    def live(self) -> bool:
        """Tell whether the registration holds its host."""
        return self.state in LIVE


_COLUMNS = ", ".join(Machine.__dataclass_fields__)
# What a machine brought its owner, over all settled intervals.
_EARNED = (
    "coalesce((SELECT sum(p.captured_ucr - p.fee_ucr + p.stipend_ucr) FROM payout p"
    " WHERE p.machine = machine.machine_id), 0)::bigint AS earned_ucr"
)


def insert(cursor: db.Cursor, machine: Machine) -> None:
    """Add a machine. Raises ConflictError if its host has a live registration (the transaction is over)."""
    fields = list(Machine.__dataclass_fields__)
    marks = ", ".join(["%s"] * len(fields))
    try:
        cursor.execute(
            f"INSERT INTO machine ({_COLUMNS}) VALUES ({marks})",  # noqa: S608
            [getattr(machine, field) for field in fields],
        )
    except psycopg2.errors.UniqueViolation:
        raise ConflictError(
            f"The host {machine.ip_address} is lent already. Remove that machine first, or wait until it has "
            "left."
        ) from None


def find(cursor: db.Cursor, machine_id: str, lock: bool = False) -> Machine | None:
    """Return a machine, with `lock` so that nobody else changes it in the meantime."""
    tail = " FOR UPDATE" if lock else ""
    cursor.execute(f"SELECT {_COLUMNS} FROM machine WHERE machine_id = %s{tail}", [machine_id])  # noqa: S608
    return _machine(cursor.fetchone())


def live(cursor: db.Cursor) -> list[Machine]:
    """Return all live registrations."""
    cursor.execute(f"SELECT {_COLUMNS} FROM machine WHERE state = ANY(%s)", [list(LIVE)])  # noqa: S608
    return [Machine(*row) for row in cursor.fetchall()]


def live_addresses(cursor: db.Cursor) -> set[str]:
    """Return the hosts that are lent."""
    cursor.execute("SELECT ip_address FROM machine WHERE state = ANY(%s)", [list(LIVE)])
    return {row.ip_address for row in cursor.fetchall()}


def update(cursor: db.Cursor, machine: Machine, expected: str, **changes: Any) -> bool:
    """Change columns of a machine if it is still in the expected state; tell whether it was."""
    sets = ", ".join(f"{name} = %s" for name in changes)
    cursor.execute(
        f"UPDATE machine SET {sets} WHERE machine_id = %s AND state = %s",  # noqa: S608 - our own column names
        [*changes.values(), machine.machine_id, expected],
    )
    return bool(cursor.rowcount)


def record(cursor: db.Cursor, machine_id: str) -> dict[str, Any]:
    """Return a machine as the routes and the pages show it to its owner."""
    cursor.execute(f"SELECT {_COLUMNS}, {_EARNED} FROM machine WHERE machine_id = %s", [machine_id])  # noqa: S608
    return _record(cursor.fetchone())


def records(cursor: db.Cursor, user_id: str, page: Page) -> Listing[dict[str, Any]]:
    """Return a member's machines, with what they earned."""
    cursor.execute("SELECT count(*) AS total FROM machine WHERE user_id = %s", [user_id])
    total = cursor.fetchone().total
    cursor.execute(
        f"SELECT {_COLUMNS}, {_EARNED} FROM machine WHERE user_id = %s"  # noqa: S608
        f" ORDER BY {_order(page)} LIMIT %s OFFSET %s",
        [user_id, page.limit, page.offset],
    )
    return Listing([_record(row) for row in cursor.fetchall()], total)


def market_records(cursor: db.Cursor, page: Page) -> Listing[dict[str, Any]]:
    """Return the lent machines that are in the pool, without addresses and owners."""
    where = "user_id IS NOT NULL AND state = ANY(%s)"
    cursor.execute(f"SELECT count(*) AS total FROM machine WHERE {where}", [list(_SHOWN)])  # noqa: S608
    total = cursor.fetchone().total
    cursor.execute(
        f"SELECT {_COLUMNS}, 0 AS earned_ucr FROM machine WHERE {where}"  # noqa: S608
        f" ORDER BY {_order(page)} LIMIT %s OFFSET %s",
        [list(_SHOWN), page.limit, page.offset],
    )
    hidden = ("ip_address", "service_port", "user_id", "reason", "earned")
    rows = [
        {name: value for name, value in _record(row).items() if name not in hidden}
        for row in cursor.fetchall()
    ]
    return Listing(rows, total)


def contributions(cursor: db.Cursor, machine_id: str) -> list[dict[str, Any]]:
    """Return what a machine did and earned in each settled interval, oldest first.

    Usage lines hold a container's use from its start on, so an interval's part is the difference to the
    container's line before.
    """
    cursor.execute(
        """
        WITH used AS (
            SELECT interval_id,
                   (held_ms - lag(held_ms, 1, 0::bigint) OVER w) AS ms, vcores, memory_mib
            FROM usage_line WHERE machine_id = %(machine)s
            WINDOW w AS (PARTITION BY container_id ORDER BY interval_id)
        ), work AS (
            SELECT interval_id, sum(ms * vcores) AS vcore_ms, sum(ms * memory_mib) AS mib_ms
            FROM used GROUP BY interval_id
        )
        SELECT s.from_ms, s.until_ms, coalesce(u.online_ms, 0) AS online_ms,
               coalesce(w.vcore_ms, 0) AS vcore_ms, coalesce(w.mib_ms, 0) AS mib_ms,
               coalesce(p.captured_ucr - p.fee_ucr, 0) AS jobs_ucr, coalesce(p.stipend_ucr, 0) AS stipend_ucr
        FROM settlement s
        LEFT JOIN uptime_line u ON u.interval_id = s.interval_id AND u.machine_id = %(machine)s
        LEFT JOIN work w ON w.interval_id = s.interval_id
        LEFT JOIN payout p ON p.interval_id = s.interval_id AND p.machine = %(machine)s
        WHERE u.machine_id IS NOT NULL OR w.interval_id IS NOT NULL OR p.machine IS NOT NULL
        ORDER BY s.from_ms
        """,
        {"machine": machine_id},
    )
    return [
        {
            "since": row.from_ms,
            "until": row.until_ms,
            "online_s": int(row.online_ms) // 1000,
            "vcore_seconds": int(row.vcore_ms) // 1000,
            "memory_mib_seconds": int(row.mib_ms) // 1000,
            "jobs_earned": format_credits(row.jobs_ucr),
            "stipend": format_credits(row.stipend_ucr),
            "earned": format_credits(row.jobs_ucr + row.stipend_ucr),
        }
        for row in cursor.fetchall()
    ]


def active_by_type(cursor: db.Cursor) -> dict[str, int]:
    """Return how many lent machines are active, by type."""
    cursor.execute("SELECT machine_type, count(*) AS n FROM machine WHERE state = %s GROUP BY 1", [ACTIVE])
    return {row.machine_type: row.n for row in cursor.fetchall()}


def _order(page: Page) -> str:
    column = ORDER.get(page.order_by, "created_ms")
    return f"{column} {'DESC' if page.descending else 'ASC'}, machine_id"


def _machine(row: Sequence[Any] | None) -> Machine | None:
    return Machine(*row) if row else None


def _record(row: Any) -> dict[str, Any]:
    return {
        "machine_id": row.machine_id,
        "display_name": row.display_name,
        "machine_type": row.machine_type,
        "ip_address": row.ip_address,
        "service_port": row.service_port,
        "core_count": row.core_count,
        "memory_size": row.memory_mib,
        "time_period": row.time_period_s,
        "availability": row.state,
        "reason": row.reason,
        "user_id": row.user_id,
        "created_time": row.created_ms,
        "active_time": row.active_ms,
        "drain_time": row.drain_ms,
        "left_time": row.left_ms,
        "lease_end": row.lease_end_ms,
        "earned": format_credits(row.earned_ucr),
    }
