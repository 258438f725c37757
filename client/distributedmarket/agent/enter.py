"""`python enter.py [options] -- COMMAND`: becomes the command, on its processors and tied to its parent.

What Python would do between fork and exec (`preexec_fn`) is not safe beside threads, and the agent has one
that listens to the market. Standard library only: it starts as root and stays small.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def die_with_parent(sent: int) -> None:
    """Have the kernel send this process a signal when its parent's thread ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, sent, 0, 0, 0)


def enter_group(folder: Path) -> None:
    """Move this process into a control group; what it starts follows. Raises OSError."""
    # Never made: where the kernel has no such file, there is no such group.
    with open(os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_TRUNC), "w") as file:
        file.write(str(os.getpid()))


def main(arguments: list[str]) -> None:
    """Prepare this process and replace it by the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, help="the process whose end is this one's")
    parser.add_argument("--signal", type=int, default=signal.SIGKILL, help="what it is sent then")
    parser.add_argument("--processors", default="", help="that it may use, as 0,2; default: all")
    parser.add_argument("--group", type=Path, help="folder of its control group")
    parser.add_argument("command", nargs="+")
    chosen = parser.parse_args(arguments)
    if chosen.parent is not None:
        die_with_parent(chosen.signal)
        if os.getppid() != chosen.parent:  # it ended before it could be listened to
            sys.exit(1)
    if chosen.processors:
        os.sched_setaffinity(0, [int(number) for number in chosen.processors.split(",")])
    if chosen.group is not None:
        enter_group(chosen.group)
    os.execvp(chosen.command[0], chosen.command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
