"""Environments of packages that jobs ask for: built once, kept in HDFS, shared by all who ask for the same.

What is asked for has a name, the hash of its lines and of the machine that they are for; so has what it was
resolved to, the lock. The first leads to the second, and that to the archive.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from packaging.utils import canonicalize_name

from market.cluster.clients import hdfs
from market.cluster.errors import ClusterRefused, HdfsNotFound
from market.hadoop import paths
from market.jobs import requirements
from market.kit import settings
from market.kit.clock import new_id, now_ms

_FORM = 1  # of what is built: another number, and all are built anew
_FRESH_MS = 24 * 3600 * 1000  # versions that are not named exactly are looked for again after this
_AT_ONCE = 2  # builds on this host
_FAILURE_S = 3600.0  # how long the words of a failure stay


def machine() -> dict[str, str]:
    """Return the packages of the jobs' runtime by name: their versions. Raises FileNotFoundError."""
    found = (entry.removesuffix(".dist-info") for entry in os.listdir(site()) if entry.endswith(".dist-info"))
    pairs = (entry.rsplit("-", 1) for entry in found)
    return {canonicalize_name(name): version for name, version in pairs}


def site() -> Path:
    """Return the runtime's folder of packages."""
    return next((settings.load().paths.runtime / "lib").glob("python3*/site-packages"))


def asked_name(lines: Sequence[str]) -> str:
    """Return the name of what is asked for."""
    return _named(lines)


def lock_name(lines: Sequence[str]) -> str:
    """Return the name of what it was resolved to: packages with hashes, less those of the runtime."""
    return _named(["lock", *lines])


def _named(lines: Sequence[str]) -> str:
    for_machine = [
        _FORM,
        platform.system(),
        platform.machine(),
        site().parent.name,
        sorted(machine().items()),
    ]
    return hashlib.sha256(json.dumps([for_machine, list(lines)]).encode()).hexdigest()


def found(lines: Sequence[str]) -> str | None:
    """Return the archive for what is asked, "" where the runtime has it all, None where there is none."""
    files = hdfs()
    try:
        told = json.loads(files.read(paths.environment_asked(asked_name(lines))))
    except HdfsNotFound:
        return None
    if now_ms() - told["at_ms"] > _FRESH_MS and not requirements.is_lock(lines):
        return None
    if not told["lock"]:
        return ""
    place = paths.environment(told["lock"])
    return place if files.status(place) is not None else None


def used(place: str) -> None:
    """Note that an archive is used: it is kept so much longer."""
    hdfs().set_used(place, now_ms())


def store(lines: Sequence[str], locked: Sequence[str], archive: Iterator[bytes] | None) -> None:
    """Keep what was built; `archive` None: there is one for this lock, or none is needed."""
    if archive is not None:
        _put(paths.environment(lock_name(locked)), archive, anew=False)
    told = {"lock": lock_name(locked) if locked else "", "at_ms": now_ms(), "packages": list(locked)}
    _put(paths.environment_asked(asked_name(lines)), iter([json.dumps(told).encode()]), anew=True)


def is_kept(locked: Sequence[str]) -> bool:
    """Tell whether there is an archive for a lock, or none is needed."""
    return not locked or hdfs().status(paths.environment(lock_name(locked))) is not None


def _put(place: str, content: Iterator[bytes], anew: bool) -> None:
    """Write a file that all may read; it appears whole, if `anew` in the place of an older one.

    An archive stays as it was made first: YARN refuses a container whose file was changed meanwhile.
    """
    files, part = hdfs(), f"{place}.{new_id()}"
    try:
        files.create(part, content)
        files.set_permission(part, "644")
        if anew:
            files.replace(part, place)
        else:
            files.rename(part, place)
    except ClusterRefused:
        files.delete(part)
        if anew or files.status(place) is None:
            raise
    except BaseException:
        files.delete(part)
        raise


@contextmanager
def turn(lines: Sequence[str]) -> Iterator[bool]:
    """Hold the right to build, which the death of its holder gives back; yield False where others have it."""
    folder = _folder()
    # Few files for all names: two that share one are built one after the other.
    with _held(folder / f"turn-{asked_name(lines)[:2]}") as alone:
        if not alone:
            yield False
            return
        for place in range(_AT_ONCE):
            with _held(folder / f"place-{place}") as free:
                if free:
                    yield True
                    return
    yield False


def is_building(lines: Sequence[str]) -> bool:
    """Tell whether somebody has the right to build this, or all places to build are taken."""
    with turn(lines) as free:
        return not free


def failed(lines: Sequence[str], reason: str) -> None:
    """Leave why a build failed to those who wait for it."""
    for old in _folder().glob("*.failed"):
        with suppress(FileNotFoundError):
            if old.stat().st_mtime < time.time() - _FAILURE_S:
                old.unlink()
    _failure(lines).write_text(json.dumps({"at_ms": now_ms(), "reason": reason}))


def failure_since(lines: Sequence[str], at_ms: int) -> str | None:
    """Return why a build failed after this time."""
    with suppress(FileNotFoundError, ValueError):
        told = json.loads(_failure(lines).read_text())
        if told["at_ms"] >= at_ms:
            return str(told["reason"])
    return None


def _failure(lines: Sequence[str]) -> Path:
    return _folder() / f"{asked_name(lines)}.failed"


def _folder() -> Path:
    folder = settings.load().paths.run / "environments"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
