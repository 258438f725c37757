"""A backup of a running market."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

import psycopg2

from distributedmarket.errors import SetupError
from market.kit import settings_files
from market.kit.clock import now_ms
from market.kit.errors import UnavailableError
from market.kit.settings import Settings
from market.ops.backup import database, files, kept
from market.ops.backup.kept import Backup
from market.ops.database import postgres

Progress = Callable[[str], AbstractContextManager[None]]


def take(settings: Settings, folder: Path, progress: Progress, say: Callable[[str], None]) -> Backup:
    """Make a backup in a folder, and delete those that are kept no longer; return it.

    Raises SetupError, UnavailableError when the database does not answer.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = folder.resolve()
    if files.make_key(settings):
        say(
            f"made {settings.backup_key}: keep a copy elsewhere, without it no secret in a backup can be read"
        )
    with _alone(folder):
        for unfinished in folder.glob(f"*{kept.PART}"):
            shutil.rmtree(unfinished)
        backup = _take(settings, folder, progress, say)
        for name in kept.discard(folder, backup.system, backup.ended_ms - settings.backup.retention_s * 1000):
            say(f"deleted {name}, which no restore within the retention needs")
    return backup


def _take(settings: Settings, folder: Path, progress: Progress, say: Callable[[str], None]) -> Backup:
    url = settings.database_url(postgres.SUPERUSER, "postgres")
    try:
        system = database.system_of(url)
    except psycopg2.OperationalError:
        raise UnavailableError("the market's database does not answer: start it with ./market up") from None
    _archive_to(settings.paths.data, kept.archive(folder, system))
    began_ms = now_ms()
    earlier = kept.all_of(folder, system)
    name, parent = kept.name_at(began_ms), _parent(settings, earlier, began_ms)
    if (folder / name).exists():
        raise SetupError(f"{folder / name} is there already: two backups in one second")
    target = folder / f"{name}{kept.PART}"
    target.mkdir(mode=0o700)
    with progress("database"):
        parent = _copy_database(url, folder, target, parent, say)
        ended_ms = now_ms()
        database.switch_log(url)
    _copy_files(settings, folder, target, earlier, progress)
    files.encrypt_secrets(settings, target)
    for file in (settings.paths.state / settings_files.OWN_NAME, settings.paths.seal_log):
        if file.exists():
            shutil.copy2(file, target)
    backup = Backup(name, system, began_ms, ended_ms, parent.name if parent else "")
    kept.finish(folder, backup)
    return backup


def _copy_database(
    url: str, folder: Path, target: Path, parent: Backup | None, say: Callable[[str], None]
) -> Backup | None:
    """Copy the database; return the backup since which the copy has the changes, None if it is whole."""
    place = target / "postgres"
    if parent is not None:
        try:
            database.copy(url, place, folder / parent.name / "postgres")
            return parent
        except SetupError:  # for one, its log of before a restore is not that of the database now
            say(f"the changes since {parent.name} cannot be told: this one is whole")
            shutil.rmtree(place, ignore_errors=True)
    database.copy(url, place, None)
    return None


def _parent(settings: Settings, earlier: list[Backup], at_ms: int) -> Backup | None:
    """Return the last backup, unless it is time for a whole one."""
    whole = [one for one in earlier if not one.parent]
    if not whole or whole[-1].began_ms + settings.backup.full_every_s * 1000 <= at_ms:
        return None
    return earlier[-1]


def _copy_files(
    settings: Settings, folder: Path, target: Path, earlier: list[Backup], progress: Progress
) -> None:
    if not (settings.paths.data / files.NAMES / "current" / "VERSION").exists():
        return
    hdfs = target / "hdfs"
    with progress("names of HDFS"):
        files.copy_names(settings.paths.data, hdfs)
    if settings.backup.hdfs_files and (settings.paths.data / files.BLOCKS).is_dir():
        with progress("files of HDFS"):
            files.copy_blocks(
                settings.paths.data, hdfs, folder / earlier[-1].name / "hdfs" if earlier else None
            )


def _archive_to(data: Path, archive: Path) -> None:
    """Have the server keep its log of changes there from now on."""
    archive.mkdir(mode=0o700, exist_ok=True)
    link = data / postgres.ARCHIVE_LINK
    if link.is_symlink() and link.readlink() == archive:
        return
    fresh = link.with_name(f".{link.name}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(archive)
    fresh.replace(link)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "backup.lock").open("w") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise SetupError(f"another backup is being made in {folder}") from None
        yield
