"""A folder of backups: which there are, which one a restore starts from, which are kept no longer.

    FOLDER/20261129T033000Z/   one backup: backup.json, postgres/, hdfs/, secrets.enc, market.toml, seals.log
    FOLDER/wal-SYSTEM/         the database's log of changes since the first of them, compressed

SYSTEM is the number that PostgreSQL gave the database when it was made. A backup is whole when its folder has
its name; until then the name ends with `.part`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from distributedmarket.errors import SetupError
from distributedmarket.runtime.shell import command
from market.ops.database import postgres

PART = ".part"
_FACTS = "backup.json"
_LABEL = re.compile(r"^START WAL LOCATION: .* \(file ([0-9A-F]{24})\)$", re.MULTILINE)


@dataclass(frozen=True)
class Backup:
    """A backup: its name, when it began and ended, the one whose changes it holds ("": it is whole)."""

    name: str
    system: str
    began_ms: int
    ended_ms: int
    parent: str


def name_at(at_ms: int) -> str:
    """Return the name of a backup that begins at a time."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%SZ}"


def archive(folder: Path, system: str) -> Path:
    """Return where the log of changes of a database lies."""
    return folder / f"wal-{system}"


def finish(folder: Path, backup: Backup) -> None:
    """Give a backup that is whole its name."""
    unfinished = folder / f"{backup.name}{PART}"
    (unfinished / _FACTS).write_text(json.dumps(asdict(backup), indent=1))
    unfinished.rename(folder / backup.name)


def all_of(folder: Path, system: str | None = None) -> list[Backup]:
    """Return the backups in a folder, of one database or of all, the oldest first."""
    found = [Backup(**json.loads(file.read_text())) for file in folder.glob(f"*/{_FACTS}")]
    whole = [one for one in found if (folder / one.name).is_dir() and system in (None, one.system)]
    return sorted(whole, key=lambda one: (one.ended_ms, one.name))


def chain(backups: Sequence[Backup], last: Backup) -> list[Backup]:
    """Return the backups that one consists of, the whole one first. Raises SetupError where one is gone."""
    by_name = {one.name: one for one in backups}
    links = [last]
    while parent := links[0].parent:
        if parent not in by_name:
            raise SetupError(f"the backup {last.name} needs {parent}, which is not there")
        links.insert(0, by_name[parent])
    return links


def newest(backups: Sequence[Backup], at_ms: int | None = None) -> Backup | None:
    """Return the newest backup that had ended by a time (None: now)."""
    return next((one for one in reversed(backups) if at_ms is None or one.ended_ms <= at_ms), None)


def discard(folder: Path, system: str, since_ms: int) -> list[str]:
    """Delete what no restore to a time after `since_ms` needs; return the names of the deleted backups."""
    backups = all_of(folder, system)
    first = newest(backups, since_ms)
    if first is None:
        return []
    wanted = [first, *(one for one in backups if one.ended_ms > since_ms)]
    needed = {link.name for one in wanted for link in chain(backups, one)}
    gone = [one for one in backups if one.name not in needed]
    for one in gone:
        shutil.rmtree(folder / one.name)
    _discard_log(folder, system, [one for one in backups if one.name in needed])
    return [one.name for one in gone]


def _discard_log(folder: Path, system: str, backups: Sequence[Backup]) -> None:
    starts = [_first_log_file(folder / one.name) for one in backups]
    place = archive(folder, system)
    if place.is_dir() and starts:
        program = str(postgres.programs() / "pg_archivecleanup")
        # Names begin with the number of the timeline, which says nothing of their order.
        oldest = min(starts, key=lambda name: name[8:])
        command([program, "-x", ".gz", str(place), oldest], "pg_archivecleanup", stdout=subprocess.DEVNULL)


def _first_log_file(backup: Path) -> str:
    label = (backup / "postgres" / "backup_label").read_text()
    found = _LABEL.search(label)
    if found is None:
        raise SetupError(f"{backup}/postgres/backup_label does not say where its log begins")
    return found[1]
