"""A run's right to be submitted: a file lock that spark-submit inherits.

A task's process may die while its spark-submit goes on. The lock belongs to the open file, which both have,
so it is held until the last of them has ended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from market.kit import settings

_PATIENCE_S = 200.0  # longer than the warm submitter takes at most: see kit/deadlines.py
_POLL_S = 0.1


@contextmanager
def taken(tag: str, patience_s: float = _PATIENCE_S) -> Iterator[int]:
    """Hold the lock; yield its file descriptor, to be inherited.

    Raises RuntimeError when an earlier spark-submit still holds it after `patience_s` seconds.
    """
    descriptor = os.open(_path(tag), os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + patience_s
    try:
        while not _locked(descriptor):
            if time.monotonic() > until:
                raise RuntimeError("an earlier spark-submit of this job does not end")
            time.sleep(_POLL_S)
        yield descriptor
    finally:
        os.close(descriptor)


def held(tag: str) -> bool:
    """Tell whether a submission of the run is on its way on this host."""
    try:
        descriptor = os.open(_path(tag), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor)
    finally:
        os.close(descriptor)


def forget(tag: str) -> None:
    """Remove the file of a run that has ended."""
    _path(tag).unlink(missing_ok=True)


def _path(tag: str) -> Path:
    folder = settings.load().paths.run / "submit"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / tag


def _locked(descriptor: int) -> bool:
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True
