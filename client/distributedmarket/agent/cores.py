"""A machine is held to the cores that its owner lends, however many threads its jobs start.

By affinity, for everybody: Java and the numerical libraries see that many processors and start that many
threads. A program may widen its own affinity; where a control group can be made, as root, its quota of
processor time holds against that as well.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from distributedmarket.agent import groups, process_tags
from distributedmarket.agent.groups import MOUNTS

_ENTER = Path(__file__).with_name("enter.py")
_PERIOD_US = 100_000


@dataclass
class Group:
    """A control group of version 1 or 2, which limits processor time."""

    folder: Path

    @property
    def room(self) -> Path:
        """The group in it that processes enter: version 2 wants none beside the groups of containers."""
        return self.folder / "node" if (self.folder / "cgroup.subtree_control").exists() else self.folder

    def make(self) -> None:
        """Make it, or take the one that an agent left. Raises OSError."""
        self.folder.mkdir(exist_ok=True)
        self.room.mkdir(exist_ok=True)

    def limit(self, cores: int | None) -> None:
        """Set the quota, in cores; None for no limit. Raises OSError where that is not allowed."""
        if (self.folder / "cpu.cfs_quota_us").exists():  # version 1
            self._write("cpu.cfs_period_us", _PERIOD_US)
            self._write("cpu.cfs_quota_us", -1 if cores is None else cores * _PERIOD_US)
        else:
            self._write("cpu.max", f"{'max' if cores is None else cores * _PERIOD_US} {_PERIOD_US}")

    def try_out(self) -> None:
        """Have a process enter it. Raises OSError or SubprocessError where that is not allowed."""
        words = [*_enter(), "--group", str(self.room), "--", "true"]
        subprocess.run(words, check=True, capture_output=True)

    def _write(self, name: str, value: object) -> None:
        # Never made: where the kernel has no such file, there is no such limit.
        with open(os.open(self.folder / name, os.O_WRONLY | os.O_TRUNC), "w") as file:
            file.write(str(value))


class Cores:
    """The cores of the machine in a folder."""

    def __init__(self, folder: Path, mounts: Path = MOUNTS) -> None:
        self._folder, self._mounts = folder, mounts
        self._all = sorted(os.sched_getaffinity(0))
        self._chosen: list[int] = self._all
        self._group: Group | None = None

    @property
    def description(self) -> str:
        """How the machine is held, for people."""
        if len(self._chosen) == len(self._all):
            return "with all cores of this host"
        how = "" if self._group else " by affinity alone, which a program may widen"
        return f"held to {len(self._chosen)} of {len(self._all)} cores{how}"

    def hold(self, cores: int) -> None:
        """Hold what runs of the machine, and what is started from now on, to this many cores."""
        whole = cores >= len(self._all)
        if whole:
            self._chosen = self._all
        elif cores != len(self._chosen):
            self._chosen = _least_used(self._all, cores, _others(self._folder))
        if self._group is None and not whole:
            self._group = _usable_group(self._folder, self._mounts)
        if self._group is not None:
            try:
                self._group.limit(None if whole else cores)
            except OSError:  # the group above allows less
                self._group = None
        for task in _tasks(self._folder):
            with contextlib.suppress(OSError):  # it ended meanwhile
                os.sched_setaffinity(task, self._chosen)

    def words(self, parent: int, sent: int) -> list[str]:
        """Return the words before a command that is held from its start, and ends with its parent.

        `sent` is the signal that it gets when the parent's thread that started it ends.
        """
        words = [*_enter(), "--parent", str(parent), "--signal", str(int(sent))]
        words += ["--processors", ",".join(map(str, self._chosen))]
        if self._group is not None:
            words += ["--group", str(self._group.room)]
        return [*words, "--"]


def _enter() -> list[str]:
    return [os.path.realpath(sys.executable), "-I", str(_ENTER)]


def forget(machine: Path, mounts: Path = MOUNTS) -> None:
    """Remove the control groups of the machine in a folder; call it when nothing of the machine runs."""
    groups.end_all(machine, mounts)
    _remove(machine, mounts)


def _remove(machine: Path, mounts: Path) -> None:
    for group in _groups(machine, mounts):
        for folder in dict.fromkeys([group.room, group.folder]):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _usable_group(machine: Path, mounts: Path) -> Group | None:
    """Make a control group for processor time, or take the one that an agent left; None if none may be used.

    In version 2 a group has a quota only where the group above hands the controller on.
    """
    for group in _groups(machine, mounts):
        try:
            group.make()
            group.limit(None)
            group.try_out()
        except (OSError, subprocess.SubprocessError):
            continue
        return group
    _remove(machine, mounts)
    return None


def _groups(machine: Path, mounts: Path = MOUNTS) -> Iterator[Group]:
    """Yield where the machine's control group is, or could be."""
    name = groups.name_of(machine)
    for line in mounts.read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split(",")):
            yield Group(Path(place) / name)


def _least_used(available: list[int], count: int, used: Counter[int]) -> list[int]:
    """Return processors that the fewest other machines are held to; of equal ones the last.

    The first one serves most of a host's interrupts.
    """
    return sorted(sorted(available, key=lambda cpu: (used[cpu], -cpu))[:count])


def _others(folder: Path) -> Counter[int]:
    """Count, for each processor, the other machines of this host that are held to it."""
    machines: dict[str, set[int]] = {}
    for pid, machine in process_tags.processes():
        if machine != str(folder):
            with contextlib.suppress(OSError):
                machines.setdefault(machine, set(os.sched_getaffinity(pid)))
    return Counter(cpu for cpus in machines.values() for cpu in cpus)


def _tasks(folder: Path) -> Iterator[int]:
    """Yield the threads of a machine: affinity is a thread's own, and what it starts inherits it."""
    for pid in process_tags.of(folder):
        with contextlib.suppress(OSError):
            yield from (int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir())
