"""A process and what it has started, however far that has gone from it. Standard library only.

Who leaves its session and its parent (`setsid`, a double fork) becomes a child of the nearest process above
that collects orphans. So nothing that a collector's descendants start can get out of its tree.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PARENT, _TIMES = 1, slice(11, 15)
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(sent: int) -> None:
    """Have the kernel send this process a signal when its parent's thread ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, sent, 0, 0, 0)


def collect_orphans() -> None:
    """Have orphans below this process become its children."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for(child: int) -> int:
    """Wait for a child, and for every orphan that comes here meanwhile; return the child's exit code."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def end_descendants() -> None:
    """Kill all that is below this process. Orphans become its children: repeat until none is left."""
    while True:
        for pid in below({os.getpid()}, parents()):
            kill(pid)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def kill(pid: int) -> None:
    """Kill a process that may have ended meanwhile, or be another account's."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def parents() -> dict[int, int]:
    """Return the parent of each process that has not ended."""
    return {pid: int(fields[_PARENT]) for pid, fields in _stats()}


def ticks() -> dict[int, tuple[int, int]]:
    """Return the parent and the processor time, in the kernel's ticks, of each process that has not ended.

    The time is also that of the children that it has waited for.
    """
    return {pid: (int(fields[_PARENT]), sum(map(int, fields[_TIMES]))) for pid, fields in _stats()}


def _stats() -> Iterator[tuple[int, list[str]]]:
    """Yield what the kernel says of each process that has not ended, from its state on (proc(5), `stat`)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()
            except OSError:
                continue  # ended meanwhile
            if fields[0] != "Z":
                yield int(entry.name), fields


def below(roots: set[int], parent_of: dict[int, int]) -> set[int]:
    """Return the descendants of processes."""
    found = set(roots)
    while more := {pid for pid, parent in parent_of.items() if parent in found} - found:
        found |= more
    return found - roots
