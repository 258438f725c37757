"""Reads of the table `machine`, in the caller's snapshot, and what a machine has earned."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from market.kit import database
from market.kit.money import format_credits
from market.kit.paging import Listing, Page
from market.kit.vocabulary import ACTIVE, MACHINE_IN_POOL, MACHINE_LIVE
from market.machines import earnings
from market.machines.machine import COLUMNS, Machine

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


# What a machine brought its owner, over all settled intervals.
_EARNED = (
    "coalesce((SELECT sum(p.captured_ucr - p.fee_ucr + p.stipend_ucr) FROM payout p"
    " WHERE p.machine = machine.machine_id), 0)::bigint AS earned_ucr"
)


def find(cursor: database.Cursor, machine_id: str) -> Machine | None:
    """Return a machine."""
    cursor.execute(f"SELECT {COLUMNS} FROM machine WHERE machine_id = %s", [machine_id])  # noqa: S608
    return _machine(cursor.fetchone())


def find_many(cursor: database.Cursor, machine_ids: Collection[str]) -> dict[str, Machine]:
    """Return machines by their ids; those that are not there are missing."""
    cursor.execute(f"SELECT {COLUMNS} FROM machine WHERE machine_id = ANY(%s)", [list(machine_ids)])  # noqa: S608
    return {row.machine_id: Machine(*row) for row in cursor.fetchall()}


def live(cursor: database.Cursor) -> list[Machine]:
    """Return all live registrations."""
    cursor.execute(f"SELECT {COLUMNS} FROM machine WHERE state = ANY(%s)", [list(MACHINE_LIVE)])  # noqa: S608
    return [Machine(*row) for row in cursor.fetchall()]


def left_with_keys(cursor: database.Cursor) -> list[Machine]:
    """Return machines that have left, and whose keys were not withdrawn yet."""
    cursor.execute(
        f"SELECT {COLUMNS} FROM machine WHERE key_ms IS NOT NULL AND state <> ALL(%s)",  # noqa: S608
        [list(MACHINE_LIVE)],
    )
    return [Machine(*row) for row in cursor.fetchall()]


def live_addresses(cursor: database.Cursor) -> set[str]:
    """Return the hosts that are lent."""
    cursor.execute("SELECT ip_address FROM machine WHERE state = ANY(%s)", [list(MACHINE_LIVE)])
    return {row.ip_address for row in cursor.fetchall()}


def count_live(cursor: database.Cursor, user_id: str) -> tuple[int, int]:
    """Return how many live machines a member has, and how many of them are not confirmed where they are."""
    cursor.execute(
        "SELECT count(*) AS live,"
        " count(*) FILTER (WHERE NOT own_address AND active_ms IS NULL) AS unconfirmed"
        " FROM machine WHERE user_id = %s AND state = ANY(%s)",
        [user_id, list(MACHINE_LIVE)],
    )
    row = cursor.fetchone()
    return int(row.live), int(row.unconfirmed)


def record(cursor: database.Cursor, machine_id: str) -> dict[str, Any]:
    """Return a machine as the routes and the pages show it to its owner."""
    cursor.execute(f"SELECT {COLUMNS} FROM machine WHERE machine_id = %s", [machine_id])  # noqa: S608
    row = cursor.fetchone()
    return _record(row, earnings.earned_ucr(cursor, machine_id))


def records(cursor: database.Cursor, user_id: str, page: Page) -> Listing[dict[str, Any]]:
    """Return a member's machines, with what they earned."""
    cursor.execute("SELECT count(*) AS total FROM machine WHERE user_id = %s", [user_id])
    total = cursor.fetchone().total
    cursor.execute(
        f"SELECT {COLUMNS}, {_EARNED} FROM machine WHERE user_id = %s"  # noqa: S608
        f" ORDER BY {_order(page)} LIMIT %s OFFSET %s",
        [user_id, page.limit, page.offset],
    )
    return Listing([_record(row, row.earned_ucr) for row in cursor.fetchall()], total)


def all_records(
    cursor: database.Cursor, page: Page, states: Sequence[str], owner: str
) -> Listing[dict[str, Any]]:
    """Return machines in some states, with their owners, by how an owner's name begins; the pool's has none.

    Whoever calls has seen that an administrator asks.
    """
    where = "state = ANY(%s) AND starts_with(coalesce(owner, ''), %s)"
    source = "(SELECT machine.*, username AS owner FROM machine LEFT JOIN member USING (user_id)) machine"
    values = [list(states), owner]
    cursor.execute(f"SELECT count(*) AS total FROM {source} WHERE {where}", values)  # noqa: S608
    total = cursor.fetchone().total
    cursor.execute(
        f"SELECT {COLUMNS}, owner, {_EARNED} FROM {source} WHERE {where}"  # noqa: S608
        f" ORDER BY {_order(page)} LIMIT %s OFFSET %s",
        [*values, page.limit, page.offset],
    )
    rows = [_record(row, row.earned_ucr) | {"owner": row.owner} for row in cursor.fetchall()]
    return Listing(rows, total)


def live_of(cursor: database.Cursor, user_id: str) -> list[str]:
    """Return the ids of a member's live machines."""
    cursor.execute(
        "SELECT machine_id FROM machine WHERE user_id = %s AND state = ANY(%s) ORDER BY machine_id",
        [user_id, list(MACHINE_LIVE)],
    )
    return [row.machine_id for row in cursor.fetchall()]


def market_records(cursor: database.Cursor, page: Page) -> Listing[dict[str, Any]]:
    """Return the lent machines that are in the pool, without addresses and owners."""
    where = "user_id IS NOT NULL AND state = ANY(%s)"
    cursor.execute(f"SELECT count(*) AS total FROM machine WHERE {where}", [list(MACHINE_IN_POOL)])  # noqa: S608
    total = cursor.fetchone().total
    cursor.execute(
        f"SELECT {COLUMNS} FROM machine WHERE {where}"  # noqa: S608
        f" ORDER BY {_order(page)} LIMIT %s OFFSET %s",
        [list(MACHINE_IN_POOL), page.limit, page.offset],
    )
    hidden = ("ip_address", "service_port", "user_id", "reason", "earned")
    rows = [
        {name: value for name, value in _record(row, 0).items() if name not in hidden}
        for row in cursor.fetchall()
    ]
    return Listing(rows, total)


def active_by_type(cursor: database.Cursor) -> dict[str, int]:
    """Return how many lent machines are active, by type."""
    cursor.execute("SELECT machine_type, count(*) AS n FROM machine WHERE state = %s GROUP BY 1", [ACTIVE])
    return {row.machine_type: row.n for row in cursor.fetchall()}


def offered_types() -> set[str]:
    """Return the types of which any machine takes work now."""
    with database.transaction() as cursor:
        return {machine_type for machine_type, count in active_by_type(cursor).items() if count > 0}


def is_offered(machine_type: str) -> bool:
    """Tell whether any machine of a type takes work now."""
    return machine_type in offered_types()


def _order(page: Page) -> str:
    column = ORDER.get(page.order_by, "created_ms")
    return f"{column} {'DESC' if page.descending else 'ASC'}, machine_id"


def _machine(row: Sequence[Any] | None) -> Machine | None:
    return Machine(*row) if row else None


def _record(row: Any, earned_ucr: int) -> dict[str, Any]:
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
        "hours": row.hours,
        "time_zone": row.time_zone,
        "trust": row.trust,
        "verified_time": row.verified_ms,
        "earned": format_credits(earned_ucr),
    }
