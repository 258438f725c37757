"""Empties a database that a test has used: a tenth of what a new one takes.

It is emptied only if it still is what was made: the same database, and no table, function, trigger or right
changed since then. Rows that were there from the beginning come back, and sequences begin anew.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import psycopg2
import servers

from market.ops.database import postgres

# A row of a catalogue that is new or was changed has a new xmin. What VACUUM and ANALYZE write has not.
_CATALOGUES = (
    *("pg_attrdef", "pg_attribute", "pg_class", "pg_constraint", "pg_default_acl", "pg_event_trigger"),
    *("pg_extension", "pg_index", "pg_namespace", "pg_policy", "pg_proc", "pg_rewrite", "pg_sequence"),
    *("pg_trigger", "pg_type"),
)
_LARGE = 1 << 20  # bytes of a table from which on a new database is quicker than to delete its rows


@dataclass(frozen=True)
class Made:
    """What a database held when it was made."""

    shape: Any
    rows: dict[str, str]
    sequences: list[tuple[str, int, bool]]


_made: dict[int, Made] = {}  # by the server's port


def remember(server: servers.Database) -> None:
    """Note what the market's database on this server holds now: it is new."""
    with _superuser(server) as cursor:
        rows = {}
        for table in _tables_with_rows(cursor):
            copied = io.StringIO()
            cursor.copy_expert(f"COPY {table} TO STDOUT", copied)
            rows[table] = copied.getvalue()
        _made[server.port] = Made(_shape(cursor), rows, _sequences(cursor))


def forget(server: servers.Database) -> None:
    """Another database than the one remembered takes the name."""
    _made.pop(server.port, None)


def emptied(server: servers.Database) -> bool:
    """Make the database what it was when it was remembered; tell whether that could be done."""
    made = _made.get(server.port)
    if made is None:
        return False
    try:
        with _superuser(server) as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            if _shape(cursor) != made.shape:
                return False
            tables = _tables_with_rows(cursor)
            cursor.execute(
                "SELECT coalesce(max(pg_relation_size(t::regclass)), 0) FROM unnest(%s) t", [tables]
            )
            if cursor.fetchone()[0] > _LARGE:
                return False
            # Neither triggers nor foreign keys are asked: the market refuses to remove most rows.
            cursor.execute("SET session_replication_role = replica")
            cursor.execute("".join(f"DELETE FROM {table};" for table in tables) or "SELECT 1")
            for table, rows in made.rows.items():
                cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(rows))
            for sequence, value, called in made.sequences:
                cursor.execute("SELECT setval(%s, %s, %s)", [sequence, value, called])
    except psycopg2.OperationalError:
        return False
    return True


class _superuser:  # noqa: N801 - used like a function
    """A transaction of the superuser on the market's database; yields a cursor."""

    def __init__(self, server: servers.Database) -> None:
        self._connection = psycopg2.connect(server.url(postgres.SUPERUSER))

    def __enter__(self) -> Any:
        return self._connection.cursor()

    def __exit__(self, kind: object, *_: object) -> None:
        (self._connection.rollback if kind else self._connection.commit)()
        self._connection.close()


def _shape(cursor: Any) -> Any:
    parts = " UNION ALL ".join(
        f"SELECT '{name}', count(*), sum(xmin::text::bigint) FROM {name}" for name in _CATALOGUES
    )
    cursor.execute(
        f"{parts} UNION ALL SELECT 'pg_database', oid::bigint, xmin::text::bigint FROM pg_database"
        " WHERE datname = current_database()"
        " UNION ALL SELECT 'settings', count(*), sum(s.xmin::text::bigint) FROM pg_db_role_setting s"
        " JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()"
    )
    return sorted(cursor.fetchall())


def _tables_with_rows(cursor: Any) -> list[str]:
    cursor.execute(
        "SELECT string_agg(format('SELECT %L WHERE EXISTS (SELECT FROM %s)', name, name), ' UNION ALL ')"
        " FROM (SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace IN"
        " (SELECT oid FROM pg_namespace WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
        "  AND nspname NOT LIKE 'pg_temp%')) t"
    )
    cursor.execute(cursor.fetchone()[0])
    return [name for (name,) in cursor.fetchall()]


def _sequences(cursor: Any) -> list[tuple[str, int, bool]]:
    cursor.execute("SELECT seqrelid::regclass::text FROM pg_sequence")
    found = []
    for (name,) in cursor.fetchall():
        cursor.execute(f"SELECT last_value, is_called FROM {name}")
        found.append((name, *cursor.fetchone()))
    return found
