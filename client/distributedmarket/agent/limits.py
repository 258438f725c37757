"""What a container holds of memory and of processes, by control groups of version 1 or 2.

YARN looks every few seconds and counts what belongs to processes; the kernel counts at each allocation, and
shared memory and files in memory as well. In version 2 the limits are files of the container's own group.
Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from distributedmarket.agent import groups

PROCESSES = 4_096  # and threads, of a container
# Above what YARN allocated: what the kernel itself holds for a container, which YARN does not count.
_SLACK_MIB = 64
_CONTROLLERS = ("memory", "pids")


def usable(machine: Path, mounts: Path = groups.MOUNTS) -> dict[str, Path]:
    """Return where groups of a machine's containers can be made, by controller, found by trying."""
    found = {}
    for name in _CONTROLLERS:
        for folder in _folders(machine, name, mounts):
            try:
                _try_out(folder, name)
                found[name] = folder
                break
            except OSError:
                continue
    return found


def make(folders: dict[str, Path], pid: int, own: Path | None, memory_mib: int) -> list[Path]:
    """Hold a process and all that it starts; return the groups that were made for it. Raises OSError.

    `own` is the group of version 2 that it is in. `memory_mib` 0: only processes are limited.
    """
    made: list[Path] = []
    for name, folder in folders.items():
        if own is not None and own.parent == folder:
            group = own
            _hand_on(folder, name)
        else:
            group = groups.make(folder, pid)
            made.append(group)
        if name == "pids":
            _write(group, "pids.max", PROCESSES)
        elif memory_mib:
            _limit_memory(group, memory_mib + _SLACK_MIB << 20)
    return made


def end_all(machine: Path, mounts: Path = groups.MOUNTS) -> None:
    """End the groups of a machine's containers that whoever kept them has left."""
    for name in _CONTROLLERS:
        for folder in _folders(machine, name, mounts):
            groups.end_in(folder)


def ran_out(group: Path) -> bool:
    """Tell whether the kernel has ended a process of a group for want of memory."""
    for name in ("memory.events", "memory.oom_control"):
        with suppress(OSError, ValueError):
            for line in (group / name).read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1]) > 0
    return False


def _limit_memory(group: Path, size: int) -> None:
    if (group / "memory.max").exists():
        _write(group, "memory.swap.max", 0, needed=False)
        _write(group, "memory.max", size)
    else:
        _write(group, "memory.limit_in_bytes", size)
        _write(group, "memory.memsw.limit_in_bytes", size, needed=False)  # memory and swap together


def _folders(machine: Path, controller: str, mounts: Path) -> Iterator[Path]:
    name = groups.name_of(machine)
    for line in mounts.read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup" and controller in options.split(","):
            own = Path(place) / _own_group(controller)  # below the limits of whoever started this
            yield (own if own.is_dir() else Path(place)) / name
        elif kind == "cgroup2":
            yield Path(place) / name


def _own_group(controller: str) -> str:
    """Return the group of version 1 that this process is in, as a path below its mount."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path.lstrip("/")
    return ""


def _try_out(folder: Path, controller: str) -> None:
    """Make a group with the controller. Raises OSError where that does not work."""
    group = folder / f"trial-{os.getpid()}"
    group.mkdir(parents=True)
    try:
        _hand_on(folder, controller)
        if controller == "pids":
            _write(group, "pids.max", PROCESSES)
        else:
            _limit_memory(group, 64 << 20)
    finally:
        group.rmdir()
        with suppress(OSError):  # another one's
            folder.rmdir()


def _hand_on(folder: Path, controller: str) -> None:
    """Let groups in a folder have a controller, as version 2 wants it. Raises OSError."""
    file = folder / "cgroup.subtree_control"
    if file.exists() and controller not in file.read_text().split():
        file.write_text(f"+{controller}")


def _write(group: Path, name: str, value: int, *, needed: bool = True) -> None:
    try:
        with open(os.open(group / name, os.O_WRONLY), "w") as opened:
            opened.write(str(value))
    except OSError:
        if needed:
            raise
