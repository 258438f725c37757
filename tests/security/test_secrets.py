"""No secret of a running market is found where somebody else could read it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from agents import of_application
from people import Person, until

from market.kit import settings

pytestmark = pytest.mark.cluster

SHORTEST = 12  # of what is looked for: a shorter word is found by chance
LARGEST = 64 << 20  # of a file that is looked into
PIECE = 1 << 20
STAYS = """
    import time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    spark.range(1000).count()
    time.sleep(600)
"""


def _secrets(stack: settings.Settings) -> dict[str, bytes]:
    """Return each secret by its file's name; of one with several lines, those that are long."""
    found = {}
    for file in stack.paths.secrets.iterdir():
        content = file.read_bytes().strip()
        lines = [line for line in content.splitlines() if not line.startswith(b"-----")]
        for number, line in enumerate(lines if file.suffix != ".keytab" else [content]):
            if len(line) >= SHORTEST:
                found[f"{file.name}:{number}"] = line
    return found


def _processes() -> Iterator[tuple[int, int, bytes, bytes]]:
    """Yield each process's id and account, its command line and its environment."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            account = entry.stat().st_uid
            yield int(entry.name), account, (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()


def _readable(top: Path) -> Iterator[Path]:
    """Yield the files below a folder that any account of this host can reach and read."""
    for folder, folders, names in os.walk(top):
        here = Path(folder)
        folders[:] = [name for name in folders if (here / name).stat().st_mode & stat.S_IXOTH]
        for name in names:
            with suppress(OSError):
                found = (here / name).lstat()
                if stat.S_ISREG(found.st_mode) and found.st_mode & stat.S_IROTH and found.st_size <= LARGEST:
                    yield here / name


def _in_file(file: Path, looked_for: dict[str, bytes]) -> list[str]:
    longest = max(map(len, looked_for.values()))
    before, seen = b"", []
    with suppress(OSError), file.open("rb") as opened:  # it may have been deleted meanwhile
        while piece := opened.read(PIECE):
            window = before + piece
            seen += [name for name, secret in looked_for.items() if secret in window]
            before = window[-longest:]
    return seen


@pytest.fixture(scope="module")
def running(
    buyer: Person, machines: list[dict[str, Any]], program: Callable[[str], str]
) -> Iterator[list[int]]:
    """Return the processes of a job, while it runs."""
    buyer.put("stays/main.py", program(STAYS))
    job_id = buyer.submit("stays", core_num=2)
    buyer.in_status(job_id, "running", 180)
    application_id = buyer.job(job_id)["application_id"]
    until(
        lambda: "executor" in {one["role"] for one in buyer.rest.get(f"/jobs/{job_id}/logs")["files"]}, "both"
    )
    yield until(lambda: of_application(application_id), "its processes", 60)
    buyer.send("POST", f"/jobs/{job_id}/cancel")


def test_no_command_line_has_a_secret_and_no_environment_of_a_job(
    stack: settings.Settings, running: list[int]
) -> None:
    assert running
    secrets, found = _secrets(stack), []
    assert len(secrets) >= 12
    own = os.geteuid()
    for pid, account, command, environment in _processes():
        for name, secret in secrets.items():
            if secret in command:
                found.append(f"{name} in the command line of {pid}: {command[:200]!r}")
            if secret in environment and (account != own or pid in running):
                found.append(f"{name} in the environment of {pid}, account {account}: {command[:200]!r}")
    assert found == []


def test_no_log_has_a_secret_and_no_file_that_others_can_read(
    stack: settings.Settings, running: list[int]
) -> None:
    secrets = _secrets(stack)
    files = {*_readable(stack.paths.state), *(path for path in stack.paths.logs.rglob("*") if path.is_file())}
    assert len(files) > 50, "the logs, the configuration and the machines' folders at least"
    found = [(str(file), name) for file in files for name in _in_file(file, secrets)]
    assert found == []
