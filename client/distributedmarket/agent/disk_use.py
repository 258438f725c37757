"""What applications hold of a machine's disk. Standard library only."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from distributedmarket.agent import tree

_MAX_ENTRIES = 1_000_000  # files and folders of one application; more are more than it may hold


class _EndlessError(Exception):
    """It cannot be counted, or need not be counted further."""


@dataclass(frozen=True)
class Limit:
    """At most `mib` MiB in the NodeManager's folders, and in deleted files that are still open.

    YARN takes a disk that is fuller than `percent`, or has less than `free_mib` MiB left, for broken, and
    ends all that runs there. Where applications have filled it, the one that holds most is stopped earlier.
    """

    work: Path
    mib: int
    percent: int = 100
    free_mib: int = 0

    def exceeded(self, leaders: Mapping[str, set[int]]) -> list[str]:
        """Return those applications, of those with these leading processes, that are to be stopped."""
        parent_of = tree.parents()
        held = {name: self._held(name, pids | tree.below(pids, parent_of)) for name, pids in leaders.items()}
        found = [name for name, size in held.items() if size > self.mib << 20]
        if not found and held and self._is_tight() and not self._is_tight(sum(held.values())):
            found = [max(held, key=lambda name: held[name])]
        return found

    def _is_tight(self, without: int = 0) -> bool:
        """Tell whether the disk is almost full, or would be without so many bytes."""
        disk = os.statvfs(self.work)
        total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize + without
        return free < 2 * self.free_mib << 20 or (total - free) * 100 > (self.percent - 2) * total

    def _held(self, application: str, pids: set[int]) -> int:
        """Return what an application holds, in bytes; more than it may if there is no end to it."""
        size = 0
        try:
            for number, one in enumerate(self._sizes(application, pids)):
                size += one
                if size > self.mib << 20 or number > _MAX_ENTRIES:
                    raise _EndlessError
        except _EndlessError:
            return (self.mib << 20) + 1
        return size

    def _sizes(self, application: str, pids: set[int]) -> Iterator[int]:
        for folder in self.work.glob(f"local/usercache/*/appcache/{application}"):
            yield from _below(str(folder))
        yield from _below(str(self.work / "logs" / application))
        yield from _deleted(pids, self.work.stat().st_dev)


def _below(root: str) -> Iterator[int]:
    """Yield the size on disk (bytes) of each file and folder below one; links are not followed."""
    folders = [root]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    yield entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError as error:
            # Deeper than a path may be long is nothing that a program does by chance; all else is a file that
            # went, or a folder that its owner has closed.
            if error.errno == errno.ENAMETOOLONG:
                raise _EndlessError from None


def _deleted(pids: set[int], device: int) -> Iterator[int]:
    """Yield the sizes of files that no folder shows and processes hold open."""
    seen = set()
    for pid in pids:
        with suppress(OSError):  # it has ended
            for name in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):  # closed meanwhile
                    found = os.stat(f"/proc/{pid}/fd/{name}")
                    here = stat.S_ISREG(found.st_mode) and found.st_dev == device
                    if here and not found.st_nlink and found.st_ino not in seen:
                        seen.add(found.st_ino)
                        yield found.st_blocks * 512
