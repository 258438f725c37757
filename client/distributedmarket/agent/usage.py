"""What a container uses: its processor time, and the most memory that it held, in a file beside its logs.

YARN's figures are what was allocated. The container's first process looks at what is below it once a second,
so also a container that is killed has left its figures, and the file goes the way of its logs. It lies in
the job's reach, and tells the job's owner about his own job alone. Standard library only.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, suppress
from pathlib import Path

from distributedmarket.agent import tree

FILE = "market-usage.json"
_PERIOD_S = 1.0
_SIZE = 96  # of the file: written over and over in one piece, so that there is never half of it
_TICKS = os.sysconf("SC_CLK_TCK")
_KIB_PER_MIB = 1024
_HIGH_WATER = "VmHWM:"


class Usage:
    """The figures of the container in a folder, whose processes are all those below this one."""

    def __init__(self, container: Path) -> None:
        """Make the file, before anything of the job runs here. Without one nothing is measured."""
        self._cpu_s = 0.0
        self._peak_mib = 0
        self._file: int | None = None
        with suppress(OSError, IndexError):
            self._file = _made(container)

    def begin(self) -> None:
        """Look every second from now on, between what the main thread does."""
        if self._file is not None:
            self._note(0, 0)
            signal.signal(signal.SIGALRM, self._tick)
            signal.setitimer(signal.ITIMER_REAL, _PERIOD_S, _PERIOD_S)

    def end(self) -> None:
        """Write what the processes that have ended and were waited for have used in all."""
        if self._file is None:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        spent = os.times()
        self._note(spent.children_user + spent.children_system, 0)

    def _tick(self, *_: object) -> None:
        """Look, and go on whatever the kernel answers: the container's end comes with this process."""
        with suppress(OSError, ValueError, IndexError):
            self._look()

    def _look(self) -> None:
        # Once the container's view of processes hides this one's own, all that is there belongs to it.
        enclosed = not os.path.lexists("/proc/self/stat")
        seen = tree.ticks()
        pids = set(seen)
        if not enclosed:
            pids = tree.below({os.getpid()}, {pid: parent for pid, (parent, _) in seen.items()})
        self._note(sum(seen[pid][1] for pid in pids) / _TICKS, sum(map(_peak_kib, pids)) // _KIB_PER_MIB)

    def _note(self, cpu_s: float, peak_mib: int) -> None:
        """Write the file; a process that has ended may have taken its figures along, so they never fall."""
        assert self._file is not None
        self._cpu_s, self._peak_mib = max(self._cpu_s, cpu_s), max(self._peak_mib, peak_mib)
        # By hand: importing `json` would take longer than all the rest of a container's start here.
        line = f'{{"cpu_s": {self._cpu_s:.2f}, "peak_memory_mib": {self._peak_mib}}}'
        with suppress(OSError):  # the disk is full
            os.pwrite(self._file, f"{line:<{_SIZE - 1}}\n".encode(), 0)


def _made(container: Path) -> int:
    """Make the file where YARN has made the folder of a container's logs. Raises OSError or IndexError.

    No link is followed: other containers of the job may have been here.
    """
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
    with ExitStack() as opened:

        def entered(name: str | Path, above: int | None = None) -> int:
            descriptor = os.open(name, flags, dir_fd=above)
            opened.callback(os.close, descriptor)
            return descriptor

        application = entered(container.parent.name, entered(container.parents[5] / "logs"))
        folder = entered(container.name, application)
        return os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640, dir_fd=folder)


def _peak_kib(pid: int) -> int:
    """Return the most memory that a process has held: a short peak counts as well; 0 if it has ended."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith(_HIGH_WATER):
                return int(line.split()[1])
    return 0
