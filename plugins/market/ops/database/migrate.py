"""Roles, the database and the files of `sql/`: tables once each, functions anew when they changed.

An upgrade is one transaction, under a lock: it ends with all that the files say, or with the database as it
was.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2
from psycopg2 import sql
from psycopg2.errors import DeadlockDetected, LockNotAvailable
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, encrypt_password

from market.ops.database import roles
from market.ops.database.roles import AIRFLOW, APPLICATION, OWNER
from market.ops.database.sources import Baseline, File, MigrationError, Sources, read

__all__ = [
    "AIRFLOW",
    "APPLICATION",
    "DATABASE",
    "OWNER",
    "File",
    "MigrationError",
    "apply",
    "prepare",
    "read",
    "set_password",
    "superuser",
]

DATABASE = "market"
_LOCK = 0x6D61726B
# An upgrade waits this long for transactions that work with the tables. Those that come meanwhile wait as
# well, and go first when the upgrade gives up.
_LOCK_TIMEOUT_S = 5.0
_ATTEMPTS = 4
_PAUSE_S = 1.0
_TABLES = """
    SELECT string_agg(quote_ident(tablename), ', ' ORDER BY tablename)
    FROM pg_tables WHERE schemaname = 'market'
"""
# All code of the schema, what was made last first: it may need what was made before it.
_CODE = """
    SELECT statement FROM (
        SELECT 0 AS place, t.oid, format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) AS statement
        FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
        WHERE relnamespace = 'market'::regnamespace AND NOT tgisinternal
        UNION ALL
        SELECT 1, oid, format('DROP VIEW %s', oid::regclass)
        FROM pg_class WHERE relnamespace = 'market'::regnamespace AND relkind = 'v'
        UNION ALL
        SELECT 1, oid, format('DROP ROUTINE %s', oid::regprocedure)
        FROM pg_proc WHERE pronamespace = 'market'::regnamespace
    ) code ORDER BY place, oid DESC
"""


def prepare(superuser_url: str, passwords: dict[str, str]) -> None:
    """Make the roles (with these passwords) and the database, as far as they are missing.

    The roles get their limits (`roles.SETTINGS`); sessions that are open keep those they began with.
    """
    with superuser(superuser_url) as cursor:
        for role, password in passwords.items():
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
            set_password(cursor, role, password)
            _limit(cursor, role)
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if not cursor.fetchone():
            cursor.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER))
            )
    _grant(superuser_url.rsplit("/", 1)[0] + "/" + DATABASE)


@contextmanager
def superuser(url: str) -> Iterator[psycopg2.extensions.cursor]:
    """Yield a cursor of the superuser's; each statement is a transaction of its own."""
    connection = psycopg2.connect(url)
    connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def set_password(cursor: psycopg2.extensions.cursor, role: str, password: str) -> None:
    """Give a role that may log in a password; what the server gets, and may log, is a digest of it."""
    sent = encrypt_password(password, role, cursor.connection, "scram-sha-256")
    cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD %s").format(sql.Identifier(role)), [sent])


def _limit(cursor: psycopg2.extensions.cursor, role: str) -> None:
    for name, value in roles.SETTINGS.get(role, {}).items():
        cursor.execute(
            sql.SQL("ALTER ROLE {} SET {} = %s").format(sql.Identifier(role), sql.Identifier(name)), [value]
        )


def _grant(url: str) -> None:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        cursor.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(sql.Identifier(AIRFLOW)))
        cursor.execute(
            sql.SQL("CREATE SCHEMA IF NOT EXISTS market AUTHORIZATION {}").format(sql.Identifier(OWNER))
        )
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA market TO {}").format(sql.Identifier(APPLICATION)))
    connection.close()


@dataclass(frozen=True)
class Outlook:
    """What `apply` would do, with nothing done."""

    schema: tuple[File, ...]
    code: tuple[str, ...]  # names of the files of functions and invariants that are new, changed or gone
    later: tuple[str, ...]  # applied by a later release


def look(owner_url: str, sources: Sources, later: Sequence[File] = ()) -> Outlook:
    """Return what `apply` would do. Raises MigrationError where it would refuse."""
    connection = psycopg2.connect(owner_url, options="-c search_path=market")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('migration') IS NOT NULL")
            applied: dict[str, str] = {}
            if cursor.fetchone()[0]:
                cursor.execute("SELECT name, checksum FROM migration")
                applied = dict(cursor.fetchall())
    finally:
        connection.close()
    plan = _plan(applied, sources, later)
    known = {file.name for file in sources.schema}
    return Outlook(
        schema=plan.schema,
        code=(*(file.name for file in plan.changed), *plan.gone),
        later=tuple(sorted(name for name in applied if name.startswith("schema/") and name not in known)),
    )


def apply(owner_url: str, sources: Sources, later: Sequence[File] = ()) -> list[str]:
    """Bring the database to what the files say; return the names of those that are new to it or have changed.

    `later` are files of the schema that a later release applied: on the way back to this one their tables
    stay, and only code becomes that of this release. One that contracts is refused.

    A database from before the files had three kinds is taken over as it is. Raises MigrationError, and
    changes nothing, when a schema file that was applied has changed or is missing, when a file fails, and
    when others work with the tables for longer than an upgrade waits.
    """
    connection = psycopg2.connect(owner_url, options="-c search_path=market")
    try:
        with connection, connection.cursor() as cursor:
            try:
                cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            except LockNotAvailable:
                raise MigrationError(
                    "another upgrade of this database does not end: try again later"
                ) from None
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, checksum text NOT NULL,"
                " applied_at timestamptz NOT NULL DEFAULT now())"
            )
            cursor.execute("SELECT name, checksum FROM migration")
            applied = dict(cursor.fetchall())
        plan = _plan(applied, sources, later)
        if plan.anything:
            _bring_up(connection, plan)
        return [file.name for file in (*plan.schema, *plan.changed)]
    finally:
        connection.close()  # gives the lock back


@dataclass(frozen=True)
class _Plan:
    """What an upgrade does; `code` is made anew as a whole if anything is done."""

    adopted: tuple[File, ...]  # files of the schema whose tables are there already
    schema: tuple[File, ...]
    code: tuple[File, ...]
    changed: tuple[File, ...]  # of the code
    gone: tuple[str, ...]

    @property
    def anything(self) -> bool:
        return bool(self.adopted or self.schema or self.changed or self.gone)


def _plan(applied: dict[str, str], sources: Sources, later: Sequence[File] = ()) -> _Plan:
    before = {name: checksum for name, checksum in applied.items() if "/" not in name}
    schema = {name: checksum for name, checksum in applied.items() if name.startswith("schema/")}
    adopted: tuple[File, ...] = ()
    if before and not schema:
        _check_baseline(before, sources.baseline)
        adopted = tuple(file for file in sources.schema if file.name in sources.baseline.schema)
    others = [file for file in later if file not in sources.schema]
    for file in others:
        if file.contracts and file.name in schema:
            raise MigrationError(
                f"sql/{file.name} was applied by a later release, and took away what this one needs: there is"
                " no way back but a restore of a backup from before it (./market restore)"
            )
    _check(schema, (*sources.schema, *others))
    code = sources.code
    return _Plan(
        adopted=adopted,
        schema=tuple(file for file in sources.schema if file.name not in schema and file not in adopted),
        code=code,
        changed=tuple(file for file in code if applied.get(file.name) != file.checksum),
        gone=tuple(applied.keys() - before.keys() - schema.keys() - {file.name for file in code}),
    )


def _check_baseline(before: dict[str, str], baseline: Baseline) -> None:
    release = baseline.release
    for name, checksum in sorted(before.items()):
        if baseline.files.get(name) != checksum:
            raise MigrationError(
                f"sql/{name} was applied to this database with a text that release {release} does not "
                f"have, so nobody knows its tables: start from a backup that release {release} made"
            )
    for name in baseline.files:
        if name not in before:
            raise MigrationError(
                f"this database is older than release {release}, without its sql/{name}: start that release "
                f"once (git checkout {release}; ./market up; ./market down), then this one"
            )


def _check(applied: dict[str, str], files: Iterable[File]) -> None:
    present = {file.name: file.checksum for file in files}
    for name, checksum in sorted(applied.items()):
        if name not in present:
            raise MigrationError(
                f"sql/{name} was applied to this database and is gone: restore it, "
                "or start the release that has it"
            )
        if present[name] != checksum:
            raise MigrationError(
                f"sql/{name} was applied to this database and has changed since: restore it, "
                "and put the change into a new file"
            )


def _bring_up(connection: psycopg2.extensions.connection, plan: _Plan) -> None:
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        try:
            with connection, connection.cursor() as cursor:
                _change(cursor, plan)
            return
        except (LockNotAvailable, DeadlockDetected):
            pass
    raise MigrationError(
        "others work with the market's tables, so sql/ was not applied, and the database is as it was: "
        "stop the services with ./market down, or try again"
    )


def _change(cursor: psycopg2.extensions.cursor, plan: _Plan) -> None:
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_LOCK_TIMEOUT_S * 1000:.0f}ms"])
    # Before anything else, and all tables at once: so no transaction is in the middle of a function that is
    # replaced.
    cursor.execute(_TABLES)
    cursor.execute(f"LOCK TABLE {cursor.fetchone()[0]} IN ACCESS EXCLUSIVE MODE")
    _drop_code(cursor)
    for file in (*plan.schema, *plan.code):
        _execute(cursor, file)
    # By PostgreSQL's default everybody may call a new function; here only those whom its file names.
    cursor.execute("REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA market FROM PUBLIC")
    cursor.execute("DELETE FROM migration WHERE name = ANY (%s)", [list(plan.gone)])
    for file in (*plan.adopted, *plan.schema, *plan.changed):
        cursor.execute(
            "INSERT INTO migration (name, checksum) VALUES (%s, %s)"
            " ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = now()",
            [file.name, file.checksum],
        )


def _execute(cursor: psycopg2.extensions.cursor, file: File) -> None:
    try:
        cursor.execute(file.text)
    except (LockNotAvailable, DeadlockDetected):
        raise
    except psycopg2.Error as error:
        raise MigrationError(f"sql/{file.name} failed, and the database is as it was: {error}") from error


def _drop_code(cursor: psycopg2.extensions.cursor) -> None:
    """Drop all triggers, views and functions, never with CASCADE: nothing else goes with them.

    What others still need is tried again after them, as long as that helps. What is left then is needed by
    something that no file of `sql/functions/` makes.
    """
    cursor.execute(_CODE)
    statements = [row[0] for row in cursor.fetchall()]
    while statements:
        needed = []
        for statement in statements:
            cursor.execute("SAVEPOINT before_drop")
            try:
                cursor.execute(statement)
            except psycopg2.errors.DependentObjectsStillExist as error:
                cursor.execute("ROLLBACK TO before_drop")
                needed.append((statement, error))
            cursor.execute("RELEASE before_drop")
        if len(needed) == len(statements):
            raise MigrationError(
                "the market's functions are needed by what no file of sql/ makes, so they cannot be made "
                f"anew, and the database is as it was: {needed[0][1]}"
            )
        statements = [statement for statement, _ in needed]
