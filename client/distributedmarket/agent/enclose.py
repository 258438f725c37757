"""`python enclose.py DOOR WISH ... -- COMMAND`: a container's first process, whose id YARN knows.

It tells the guard at its door that it is there, and becomes the command's parent: of one in namespaces of its
own, if a wish asks for that, or of one whose leavings it collects and ends. The wishes are NAME=VALUE: `work`
(the machine's folder for work; namespaces), `hide` and `show` (folders, repeated), `files` and `processes`
(see `spaces.limit`), `own` (an account of the container's own: see owners.py), `memory` (it is held to what
was allocated). Standard library only.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

if not __package__:  # run by its path, in isolated mode: Python does not find the package that it is of
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from distributedmarket.agent import mounts, spaces, tree, usage, view

LAUNCH = "launch_container.sh"  # the script that YARN writes for each container
ACCOUNT, MEMORY = b"a", b"m"  # what it asks the guard for, and about
RAN_OUT = b"!"
ALLOCATED = "MARKET_ALLOCATED_MIB"  # the variable in which the NodeManager says so
_PATIENCE_S = 10
_MOST_FOLDERS, _MOST_BYTES = 8, 64 << 10
# Python ignores them, and a command would inherit that.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
# What the guard says with a signal: beyond its disk, beyond its memory.
_STOPPING = (signal.SIGXFSZ, signal.SIGXCPU)
# The first process of a process namespace is its init: a shell, which waits for whatever ends there.
_INIT = ("/bin/bash", "-c", '"$@"; exit $?', "container")

Wishes = dict[str, list[str]]


def main(arguments: list[str]) -> None:
    """Run the command to its end; ends this process with its exit code, as a shell does."""
    between = arguments.index("--")
    (door, *words), command = arguments[:between], arguments[between + 1 :]
    wishes: Wishes = {}
    for word in words:
        name, _, value = word.partition("=")
        wishes.setdefault(name, []).append(value)
    if os.getpid() != os.getpgrp():  # as `setsid` does
        os.setsid()
    for sent in _IGNORED:
        signal.signal(sent, signal.SIG_DFL)
    if not command[-1].endswith(f"/{LAUNCH}"):  # YARN tries out whether there is a `setsid`
        os.execvp(command[0], command)  # noqa: S606
    used = usage.Usage(Path(command[-1]).parent)
    guard = _report(door)
    if "memory" in wishes:
        _offer(1000)
    run = _enclosed if "work" in wishes else _collecting
    sys.exit(run(command, wishes, guard, used))


def _report(door: str) -> socket.socket | None:
    """Wait until the guard has taken this process up. Without a guard nothing here runs for long."""
    guard = socket.socket(socket.AF_UNIX)
    try:
        guard.settimeout(_PATIENCE_S)
        guard.connect(f"\0{door}")
        guard.recv(1)
        return guard
    except OSError as error:
        guard.close()
        print(f"the guard does not answer: {error}", file=sys.stderr)
        return None


def _enclosed(command: list[str], wishes: Wishes, guard: socket.socket | None, used: usage.Usage) -> int:
    """Run the command in namespaces of its own; the kernel ends all in them with its first process."""
    container, (work,) = Path.cwd(), wishes["work"]
    uid, gid = os.getuid(), os.getgid()
    spaces.leave()
    if "own" in wishes:
        if guard is None:
            return 1
        trees = _ask(guard)
    else:
        spaces.keep_account(uid, gid)
        trees = view.own_trees(Path(work), container)
    child = os.fork()
    if not child:
        if "own" in wishes:
            spaces.become(uid, gid)
        tree.die_with_parent(signal.SIGKILL)
        hidden, needed = (map(Path, wishes.get(name, ())) for name in ("hide", "show"))
        # What is held to its memory as a whole may have shared memory in it; else that is on the disk.
        shared_mib = int(os.environ.get(ALLOCATED, "0")) if "memory" in wishes else 0
        view.arrange(container, trees, Path(work), hidden, needed, shared_mib)
        mounts.processes()
        _limit(wishes)
        spaces.give_up()
        os.execv(_INIT[0], [*_INIT, *command])  # noqa: S606
    return _outcome(child, guard, lambda: tree.kill(child), used)


def _ask(guard: socket.socket) -> dict[Path, int]:
    """Have the guard give this process, in a user namespace of its own, an account; return its own folders.

    Raises OSError.
    """
    guard.send(ACCOUNT)
    words, descriptors, *_ = socket.recv_fds(guard, _MOST_BYTES, _MOST_FOLDERS)
    if not descriptors:
        raise OSError("the guard gave no account")
    places = (Path(os.fsdecode(name)) for name in words.split(b"\0"))
    return dict(zip(places, descriptors, strict=True))


def _collecting(command: list[str], wishes: Wishes, guard: socket.socket | None, used: usage.Usage) -> int:
    """Run the command, and end what it leaves."""
    tree.collect_orphans()
    child = os.fork()
    if not child:
        _limit(wishes)
        os.execvp(command[0], command)  # noqa: S606
    code = _outcome(child, guard, tree.end_descendants, used)
    tree.end_descendants()
    used.end()
    return code


def _outcome(child: int, guard: socket.socket | None, end: Callable[[], None], used: usage.Usage) -> int:
    """Wait for a child; return its exit code, or that of the signal by which the guard has stopped it.

    What it uses is written meanwhile.
    """
    _offer(0)  # whoever tells why the container has ended is to outlive it
    # The whole group is told to end. This process comes last, and what it was told is its exit code.
    signal.signal(signal.SIGTERM, lambda *_: None)

    def stopped(sent: int, _: object) -> None:
        end()
        used.end()
        os._exit(128 + sent)

    for sent in _STOPPING:
        signal.signal(sent, stopped)
    used.begin()
    code = tree.wait_for(child)
    used.end()
    if code and guard is not None and _ran_out(guard):
        return 128 + signal.SIGXCPU
    return code if code >= 0 else 128 - code


def _ran_out(guard: socket.socket) -> bool:
    """Ask the guard whether the kernel has ended something of this container for want of memory."""
    try:
        guard.send(MEMORY)
        return guard.recv(1) == RAN_OUT
    except OSError:
        return False


def _limit(wishes: Wishes) -> None:
    spaces.limit(_number(wishes, "files"), _number(wishes, "processes"))


def _offer(score: int) -> None:
    """Have the kernel choose this process, and what it starts, where memory runs out, 1000: before others.

    What it ends is else the largest: most often a worker of Python's. Spark would tell its driver of a worker
    that has crashed, not why, before the guard had ended the rest. Python's processes take themselves out of
    that choice (java/runner/sitecustomize.py), so it is the container's own Java, and all of it ends at once.
    A program may take itself out as well: then the guard ends the container at its next look.
    """
    with suppress(OSError):  # it is a choice, and no bound
        Path("/proc/self/oom_score_adj").write_text(str(score))


def _number(wishes: Wishes, name: str) -> int:
    return int(wishes.get(name, ["0"])[0])


if __name__ == "__main__":
    main(sys.argv[1:])
