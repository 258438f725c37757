"""A market brought back from a backup and the log of changes, to any second since."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from distributedmarket.errors import SetupError
from market.credits import seal_log
from market.kit import settings_files
from market.kit.clock import now_ms
from market.kit.settings import Settings
from market.ops.backup import database, files, kept
from market.ops.backup.take import Progress
from market.ops.database import postgres
from market.ops.run.supervisor import Supervisor


@dataclass(frozen=True)
class Wanted:
    """What is to be restored: the folder of the backups, the time (None: the last there is), and what of it.

    `hdfs`: the files of HDFS as well, though this host has some. `secrets`: the same of the secrets.
    """

    folder: Path
    at_ms: int | None = None
    key_file: Path | None = None
    hdfs: bool = False
    secrets: bool = False


def restore(settings: Settings, wanted: Wanted, progress: Progress, say: Callable[[str], None]) -> None:
    """Put the market of a backup in the place of what is there, which is kept beside it.

    Raises SetupError; the database is as it was then.
    """
    if Supervisor(settings).running():
        raise SetupError("the stack is running: stop it first with ./market down")
    folder = wanted.folder.resolve()
    backups = kept.all_of(folder)
    last = kept.newest(backups, wanted.at_ms)
    if last is None:
        first = f"the first one ended at {_utc(backups[0].ended_ms)}" if backups else "there is none"
        raise SetupError(f"no backup in {folder} is that old: {first}")
    links = kept.chain(backups, last)
    settings.paths.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    _secrets(settings, wanted, folder / last.name, say)
    with progress(f"the backup {last.name}, with its {len(links)} parts"):
        fresh = settings.paths.data / "postgres.restoring"
        shutil.rmtree(fresh, ignore_errors=True)
        database.combine([folder / one.name / "postgres" for one in links], fresh)
    _replay(settings, wanted, kept.archive(folder, last.system), fresh, progress, say)
    _hdfs(settings, wanted, folder / last.name, progress, say)
    _own_settings(settings, folder / last.name, say)


def _secrets(settings: Settings, wanted: Wanted, backup: Path, say: Callable[[str], None]) -> None:
    if (settings.paths.secrets / "db_postgres").exists() and not wanted.secrets:
        return
    key_file = wanted.key_file or settings.backup_key
    files.decrypt_secrets(backup, key_file, settings.paths.state)
    say("took the secrets of the backup")


def _replay(
    settings: Settings,
    wanted: Wanted,
    archive: Path,
    fresh: Path,
    progress: Progress,
    say: Callable[[str], None],
) -> None:
    """Replay the log on the fresh copy, and only then put it in the place of the database that is there."""
    data = settings.paths.data / "postgres"
    # What this host had not archived yet; nothing of another database's has the same numbers of its pages.
    logs = [place for place in (archive, data / "pg_wal") if place.is_dir() and _is_of(data, place, archive)]
    with progress("the log of changes"):
        last_interval = database.Restored(fresh, logs, wanted.at_ms).replay(settings.secret("db_postgres"))
    before = database.put_aside(data, "before")
    fresh.rename(data)
    link = settings.paths.data / postgres.ARCHIVE_LINK
    if not link.is_symlink():
        archive.mkdir(mode=0o700, exist_ok=True)
        link.symlink_to(archive)
    if not settings.paths.seal_log.exists():
        _take_seals(settings, wanted)
    seal_log.note_restore(settings.paths.seal_log, last_interval, _utc(wanted.at_ms or now_ms()))
    if before is not None:
        say(f"the database that was there is in {before}: delete it when all is well")


def _is_of(data: Path, place: Path, archive: Path) -> bool:
    """Tell whether a folder has the log of the database that the archive is of."""
    if place == archive:
        return True
    return database.system_at(data) == archive.name.removeprefix("wal-")


def _take_seals(settings: Settings, wanted: Wanted) -> None:
    """Take the published seals of the newest backup: a host that has none cannot compare otherwise."""
    folder = wanted.folder.resolve()
    for backup in reversed(kept.all_of(folder)):
        if (log := folder / backup.name / settings.paths.seal_log.name).exists():
            settings.paths.seal_log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy2(log, settings.paths.seal_log)
            return


def _hdfs(
    settings: Settings, wanted: Wanted, backup: Path, progress: Progress, say: Callable[[str], None]
) -> None:
    data = settings.paths.data
    if (data / files.NAMES / "current" / "VERSION").exists() and not wanted.hdfs:
        say("HDFS stays as it is on this host")
        return
    for name in (files.NAMES, files.BLOCKS):
        if (backup / "hdfs" / name).is_dir():
            with progress(f"HDFS: {name}"):
                before = database.put_aside(data / name, "before")
                files.put_back(backup / "hdfs", data, name)
            if before is not None:
                say(f"what HDFS had is in {before}")


def _own_settings(settings: Settings, backup: Path, say: Callable[[str], None]) -> None:
    own, there = settings.paths.state / settings_files.OWN_NAME, backup / settings_files.OWN_NAME
    if there.exists() and not own.exists():
        shutil.copy2(there, own)
        say(f"took the settings of the backup: {own}")


def _utc(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
