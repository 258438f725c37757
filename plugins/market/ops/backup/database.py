"""Copies of the database while it runs: whole, or of what has changed since another; and one put back."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

from distributedmarket.errors import SetupError
from distributedmarket.runtime.shell import command
from market.ops.database import migrate, postgres

_READY_S = 3600  # a long log takes its time
_LOOK_S = 0.2
_NO_LATER_CHANGE = "recovery ended before configured recovery target was reached"
_MANIFEST = "backup_manifest"


def system_of(url: str) -> str:
    """Return the number that PostgreSQL gave the database when it was made."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        return str(cursor.fetchone()[0])


def system_at(data: Path) -> str:
    """Return the same of a database that is not running; empty where none is."""
    if not (data / "global" / "pg_control").exists():
        return ""
    words = [str(postgres.programs() / "pg_controldata"), str(data)]
    told = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout
    lines = (line.partition(":") for line in told.splitlines())
    return next((value.strip() for name, _, value in lines if name == "Database system identifier"), "")


def copy(url: str, target: Path, parent: Path | None) -> None:
    """Copy the running database to `target`; with `parent` only what has changed since that copy.

    Raises SetupError.
    """
    address = urlsplit(url)
    words = [str(postgres.programs() / "pg_basebackup"), "--pgdata", str(target), "--checkpoint=fast"]
    words += [
        "--manifest-checksums=SHA256",
        "--wal-method=stream",
        "--host",
        address.hostname or "",
        "--port",
        str(address.port),
    ]
    words += ["--username", address.username or "", "--no-password"]
    if parent is not None:
        words += [f"--incremental={parent / _MANIFEST}"]
    log = target.with_name("pg_basebackup.log")
    command(words, "pg_basebackup", log=log, env={**os.environ, "PGPASSWORD": address.password or ""})


def switch_log(url: str) -> None:
    """Have the log of changes archived as far as it is written."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_switch_wal()")


def combine(copies: Sequence[Path], target: Path) -> None:
    """Make a database of a whole copy and those of its changes, once every file of them was checked.

    Raises SetupError.
    """
    for one in copies:
        _check(one)
    words = [str(postgres.programs() / "pg_combinebackup"), *map(str, copies), "--output", str(target)]
    command(words, "pg_combinebackup", log=target.with_name("pg_combinebackup.log"))
    target.chmod(0o700)


def _check(copy: Path) -> None:
    """Raise SetupError if a file of a copy is not as it was written.

    As pg_verifybackup does; that of the wheel crashes.
    """
    for line in json.loads((copy / _MANIFEST).read_text())["Files"]:
        file = copy / line["Path"]
        if not file.is_file() or file.stat().st_size != line["Size"]:
            raise SetupError(f"{file} is missing or has another size than it had: take an earlier backup")
        with file.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != line["Checksum"]:
                raise SetupError(f"{file} is not as it was written: take an earlier backup")


class Restored:
    """A database that a copy was put into, served to nobody else while its log is replayed.

    `logs` are folders with its log of changes, compressed or as the server left it; `at_ms` is the time that
    it is brought to, None for all that the log has.
    """

    def __init__(self, data: Path, logs: Sequence[Path], at_ms: int | None) -> None:
        self._data, self._logs, self._at_ms = data, logs, at_ms
        self._output = data.with_name("restore.log")

    def replay(self, password: str) -> int:
        """Replay the log; return the number of the last sealed interval (0: none). Raises SetupError."""
        (self._data / "recovery.signal").touch()
        try:
            return self._served(password, self._at_ms)
        except _EarlierError:  # nothing was changed between the log's end and that time
            (self._data / "recovery.signal").touch()
            return self._served(password, None)

    def _served(self, password: str, at_ms: int | None) -> int:
        with tempfile.TemporaryDirectory(prefix="market-restore-") as socket_folder:
            Path(socket_folder).chmod(0o700)
            words = postgres.server_command(self._data, "", 5432)
            for name, value in self._options(socket_folder, at_ms).items():
                words += ["-c", f"{name}={value}"]
            with self._output.open("wb") as output:
                server = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)
            try:
                return self._last_seal(server, socket_folder, password)
            finally:
                server.send_signal(2)  # a fast shutdown
                server.wait(300)

    def _options(self, socket_folder: str, at_ms: int | None) -> dict[str, str]:
        options = {
            "unix_socket_directories": socket_folder,
            "restore_command": " || ".join(_fetching(folder) for folder in self._logs) or "false",
            "recovery_target_action": "promote",
        }
        if at_ms is not None:
            at = datetime.fromtimestamp(at_ms / 1000, UTC)
            options["recovery_target_time"] = f"{at:%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03d}+00"
        return options

    def _last_seal(self, server: subprocess.Popen[bytes], socket_folder: str, password: str) -> int:
        until = time.monotonic() + _READY_S
        while time.monotonic() < until:
            if server.poll() is not None:
                if _NO_LATER_CHANGE in self._output.read_text(errors="replace"):
                    raise _EarlierError
                raise SetupError(f"the database does not come back: see {self._output}")
            try:
                connection = psycopg2.connect(
                    host=socket_folder,
                    port=5432,
                    user=postgres.SUPERUSER,
                    password=password,
                    dbname=migrate.DATABASE,
                )
            except psycopg2.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise SetupError(
                        "the database was copied with other secrets than this market's: see --secrets"
                    ) from None
                time.sleep(_LOOK_S)
                continue
            with closing(connection), connection.cursor() as cursor:
                cursor.execute("SELECT pg_is_in_recovery(), to_regclass('market.seal') IS NOT NULL")
                recovering, has_seals = cursor.fetchone()
                if not recovering:
                    if not has_seals:
                        return 0
                    cursor.execute("SELECT coalesce(max(interval_id), 0) FROM market.seal")
                    return int(cursor.fetchone()[0])
            time.sleep(_LOOK_S)
        raise SetupError(f"the database does not come back within {_READY_S} s: see {self._output}")


class _EarlierError(Exception):
    """The log ends before the time that was asked for."""


def _fetching(folder: Path) -> str:
    """Return the words of a shell that fetch one file of the log; PostgreSQL puts names in for %f and %p."""
    place = shlex.quote(str(folder)).replace("%", "%%")
    return f"{{ test -f {place}/%f.gz && gzip -dc {place}/%f.gz > %p; }} || cp {place}/%f %p 2>/dev/null"


def put_aside(folder: Path, why: str) -> Path | None:
    """Rename a folder out of the way; return its new name, None if there is none."""
    if not folder.exists():
        return None
    target = folder.with_name(f"{folder.name}.{why}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    shutil.move(folder, target)
    return target
