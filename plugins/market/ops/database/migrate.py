"""Roles, the database and the files of `sql/`: applied in order, under a lock, each once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT

from distributedmarket.errors import SetupError

DATABASE = "market"
OWNER, APPLICATION, AIRFLOW = "market_owner", "market_app", "airflow"
_LOCK = 0x6D61726B


class MigrationError(SetupError):
    """A file that was already applied has changed or gone, or one failed; the message names it."""


@dataclass(frozen=True)
class File:
    """One file of `sql/`."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read(folder: Path) -> list[File]:
    """Return the files of a folder in their order."""
    return [File(path.name, path.read_text()) for path in sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))]


def prepare(superuser_url: str, passwords: dict[str, str]) -> None:
    """Make the roles (with these passwords) and the database, as far as they are missing."""
    connection = psycopg2.connect(superuser_url)
    connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
    try:
        with connection.cursor() as cursor:
            for role, password in passwords.items():
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
                verb = "ALTER" if cursor.fetchone() else "CREATE"
                statement = sql.SQL(verb + " ROLE {} LOGIN PASSWORD %s").format(sql.Identifier(role))
                cursor.execute(statement, [password])
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if not cursor.fetchone():
                cursor.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(
                        sql.Identifier(DATABASE), sql.Identifier(OWNER)
                    )
                )
    finally:
        connection.close()
    _grant(superuser_url.rsplit("/", 1)[0] + "/" + DATABASE)


def _grant(url: str) -> None:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        cursor.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(sql.Identifier(AIRFLOW)))
        cursor.execute(
            sql.SQL("CREATE SCHEMA IF NOT EXISTS market AUTHORIZATION {}").format(sql.Identifier(OWNER))
        )
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA market TO {}").format(sql.Identifier(APPLICATION)))
    connection.close()


def apply(owner_url: str, files: list[File]) -> list[str]:
    """Apply what was not applied yet, each file in a transaction of its own; return the names.

    Raises MigrationError and applies nothing when an applied file has changed or is missing.
    """
    connection = psycopg2.connect(owner_url, options="-c search_path=market")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, checksum text NOT NULL,"
                " applied_at timestamptz NOT NULL DEFAULT now())"
            )
            cursor.execute("SELECT name, checksum FROM migration")
            applied = dict(cursor.fetchall())
        _check(applied, files)
        todo = [file for file in files if file.name not in applied]
        for file in todo:
            _apply_one(connection, file)
        return [file.name for file in todo]
    finally:
        connection.close()  # gives the lock back


def _check(applied: dict[str, str], files: list[File]) -> None:
    present = {file.name: file.checksum for file in files}
    for name, checksum in sorted(applied.items()):
        if name not in present:
            raise MigrationError(f"sql/{name} was applied to this database and is gone: restore it")
        if present[name] != checksum:
            raise MigrationError(
                f"sql/{name} was applied to this database and has changed since: restore it, "
                "and put the change into a new file"
            )


def _apply_one(connection: psycopg2.extensions.connection, file: File) -> None:
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(file.text)
            cursor.execute(
                "INSERT INTO migration (name, checksum) VALUES (%s, %s)", [file.name, file.checksum]
            )
    except psycopg2.Error as error:
        raise MigrationError(f"sql/{file.name} failed, and nothing of it was applied: {error}") from error
