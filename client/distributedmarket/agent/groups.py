"""Control groups that end as a whole: one for each container of a machine. Standard library only.

Only groups of version 2 are used. They need no controller, so that one beside version 1 (a host in hybrid
mode) will do. Only root may make them, so no job gets out of its own.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from distributedmarket.agent import tree

MOUNTS = Path("/proc/self/mounts")
_PATIENCE_S = 5.0
_TICK_S = 0.05
_BEGIN = "container-"


def name_of(machine: Path) -> str:
    """Return the name of the group of the machine in a folder, the same under every controller."""
    return f"market-{hashlib.sha256(bytes(machine)).hexdigest()[:16]}"


def usable(machine: Path, mounts: Path = MOUNTS) -> Path | None:
    """Return where groups of a machine's containers can be made, found by trying; None if nowhere."""
    for parent in _folders(machine, mounts):
        try:
            _try_out(parent)
            return parent
        except (OSError, subprocess.SubprocessError):
            continue
        finally:
            with suppress(OSError):
                parent.rmdir()
    return None


def make(parent: Path, pid: int) -> Path:
    """Make a group and move a process into it; what it starts follows. Raises OSError."""
    group = parent / f"{_BEGIN}{pid}-{time.monotonic_ns()}"
    group.mkdir(parents=True)
    try:
        _write(group / "cgroup.procs", pid)
    except OSError:
        group.rmdir()
        raise
    return group


def end(group: Path) -> bool:
    """Kill all in a group and remove it; tell whether it is gone. One call may be too early: ask again."""
    try:
        _write(group / "cgroup.kill", 1)
    except OSError:  # the group has gone, or the kernel is older than 5.14
        with suppress(OSError):
            for pid in (group / "cgroup.procs").read_text().split():
                tree.kill(int(pid))
    with suppress(OSError):  # still busy
        group.rmdir()
        group.parent.rmdir()  # with the last one
    return not group.exists()


def end_all(machine: Path, mounts: Path = MOUNTS) -> None:
    """End the groups of a machine's containers that whoever kept them has left."""
    for parent in _folders(machine, mounts):
        end_in(parent)


def end_in(parent: Path) -> None:
    """End the groups of containers in a folder."""
    until = time.monotonic() + _PATIENCE_S
    for group in parent.glob(f"{_BEGIN}*"):
        while not end(group) and time.monotonic() < until:
            time.sleep(_TICK_S)


def _folders(machine: Path, mounts: Path) -> Iterator[Path]:
    for line in mounts.read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            yield Path(place) / name_of(machine)


def _try_out(parent: Path) -> None:
    """End a process by its group. Raises OSError or SubprocessError where that does not work."""
    process = subprocess.Popen(["sleep", "60"])
    try:
        group = make(parent, process.pid)
        end(group)
        process.wait(_PATIENCE_S)
        end(group)
    finally:
        process.kill()
        process.wait()


def _write(file: Path, value: int) -> None:
    # Never made: where the kernel has no such file, there is no such group.
    with open(os.open(file, os.O_WRONLY), "w") as opened:
        opened.write(str(value))
