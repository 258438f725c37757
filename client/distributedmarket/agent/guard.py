"""`python guard.py [options] -- COMMAND`: the parent of a NodeManager and of all that it starts.

Whatever ends first, nothing outlives it: when the NodeManager ends, its containers are killed; when standard
input closes (the agent's wish, or its death), the NodeManager is ended. As the first process of a process
namespace its own end takes everything with it. Standard library only: it starts as root and stays small.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC = 2, 4, 4096, 16384
_PATIENCE_S = 10  # a NodeManager needs up to 5 s to end

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(sent: int) -> None:
    """Have the kernel send this process a signal when its parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, sent, 0, 0, 0)


def main(arguments: list[str]) -> int:
    """Run the command to its end; return its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--cover", action="append", default=[], help="a folder that is hidden")
    parser.add_argument("--bind", action="append", default=[], help="FOLDER:PLACE, seen there after covering")
    parser.add_argument("command", nargs="+")
    chosen = parser.parse_args(arguments)
    if os.getpid() != 1:
        die_with_parent(signal.SIGTERM)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _arrange(chosen.cover, chosen.bind)
    child = subprocess.Popen(
        chosen.command,
        stdin=subprocess.DEVNULL,
        user=chosen.uid,
        group=chosen.gid,
        extra_groups=[] if chosen.uid is not None else None,
        start_new_session=True,
        umask=0o027,
        preexec_fn=lambda: die_with_parent(signal.SIGKILL),  # safe: no other thread runs yet
    )
    ending = threading.Event()
    for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sent, lambda *_: ending.set())
    threading.Thread(target=_until_input_closes, args=[ending], daemon=True).start()
    threading.Thread(target=_end, args=[child.pid, ending], daemon=True).start()
    code = _reap(child.pid)
    _kill_descendants()
    return code


def _arrange(covers: list[str], binds: list[str]) -> None:
    """Hide folders in this mount namespace, and show others at their place again.

    Folders to show are opened first, so that covering what is above them does not lose them.
    """
    os.umask(0o022)  # the way to what is shown must be open to the account
    opened = []
    for bind in binds:
        folder, _, place = bind.partition(":")
        opened.append((os.open(folder, os.O_PATH | os.O_DIRECTORY), place))
    for cover in covers:
        _mount("tmpfs", cover, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=4m")
    for descriptor, place in opened:
        os.makedirs(place, mode=0o755, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", place, None, _MS_BIND | _MS_REC, None)
        os.close(descriptor)


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None) -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    if _libc.mount(*words, ctypes.c_ulong(flags), data.encode() if data else None):
        number = ctypes.get_errno()
        raise OSError(number, f"mounting {source}: {os.strerror(number)}", target)


def _until_input_closes(ending: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    ending.set()


def _end(pid: int, ending: threading.Event) -> None:
    ending.wait()
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, sent)
        except ProcessLookupError:
            return
        time.sleep(_PATIENCE_S)


def _reap(child: int) -> int:
    """Wait for the child, and for every orphan that comes here, until the child has ended."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def _kill_descendants() -> None:
    """Kill what the child left behind. Orphans become children of this process: repeat until none is left."""
    if os.getpid() == 1:
        return  # the kernel does it
    while True:
        for pid in _descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _descendants(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue  # ended meanwhile
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    descendants = {root}
    while True:
        more = {pid for pid, parent in parents.items() if parent in descendants} - descendants
        if not more:
            return descendants - {root}
        descendants |= more


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)
