"""Which process of PostgreSQL serves a connection: two transactions with one share a connection."""

from __future__ import annotations

from market.kit import database


def pid() -> int:
    with database.transaction() as cursor:
        return pid_of(cursor)


def pid_of(cursor: database.Cursor) -> int:
    cursor.execute("SELECT pg_backend_pid()")
    return int(cursor.fetchone()[0])
