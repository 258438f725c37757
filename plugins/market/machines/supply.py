"""What the machines of a type have, and have left, as the registry and the meter know it."""

from __future__ import annotations

from collections import Counter

from market.kit import database
from market.kit.supply import Room, Supply
from market.kit.vocabulary import ACTIVE, DRAINING, JOINING, MACHINE_IN_POOL, RESTING

_ROOMS = """
    SELECT m.state, m.core_count, m.memory_mib,
           coalesce(sum(c.vcores), 0) AS used_cores, coalesce(sum(c.memory_mib), 0) AS used_mib
    FROM machine m LEFT JOIN container_usage c ON c.machine_id = m.machine_id AND c.end_ms IS NULL
    WHERE m.machine_type = %s AND m.state = ANY (%s)
    GROUP BY m.machine_id
"""
_LAST_ONLINE = """
    SELECT max((SELECT to_ms FROM machine_presence p WHERE p.machine_id = m.machine_id
                ORDER BY from_ms DESC LIMIT 1)) AS last_ms
    FROM machine m WHERE m.machine_type = %s
"""


def of(cursor: database.Cursor, machine_type: str) -> Supply:
    """Return what there is of a type; `pool`: of the market's own machines, which run drivers."""
    cursor.execute(_ROOMS, [machine_type, list(MACHINE_IN_POOL)])
    rows = cursor.fetchall()
    states = Counter(row.state for row in rows)
    rooms = tuple(
        Room(
            row.core_count,
            row.memory_mib,
            max(0, row.core_count - row.used_cores),
            max(0, row.memory_mib - row.used_mib),
        )
        for row in rows
        if row.state == ACTIVE
    )
    last_ms = None
    if not rooms:
        cursor.execute(_LAST_ONLINE, [machine_type])
        last_ms = cursor.fetchone().last_ms
    return Supply(rooms, states[JOINING], states[DRAINING], states[RESTING], last_ms)
