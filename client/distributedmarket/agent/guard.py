"""`python guard.py [options] -- COMMAND`: the parent of a NodeManager and of all that it starts.

Whatever ends first, nothing outlives it: when the NodeManager ends, its containers are killed; when standard
input closes (the agent's wish, or its death), the NodeManager is ended. As the first process of a process
namespace its own end takes everything with it. Standard library only: it starts as root and stays small.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

if not __package__:  # run by its path, in isolated mode: Python does not find the package that it is of
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from distributedmarket.agent import mounts, own_disk, owners, tree
from distributedmarket.agent.disk_use import Limit
from distributedmarket.agent.leaders import Accounts, Leaders, Means
from distributedmarket.agent.network import Wall

_PATIENCE_S = 10  # a NodeManager needs up to 5 s to end


def main(arguments: list[str]) -> int:
    """Run the command to its end; return its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--cover", action="append", default=[], help="a folder that is hidden")
    parser.add_argument("--bind", action="append", default=[], help="FOLDER:PLACE, seen there after covering")
    parser.add_argument("--door", help="the name at which containers tell that they are there")
    parser.add_argument("--groups", type=Path, help="folder for control groups of containers")
    parser.add_argument("--accounts", type=owners.Range.read, help="FIRST-LAST: one for each container")
    parser.add_argument(
        "--limit", type=_limit, action="append", default=[], help="CONTROLLER=FOLDER for groups"
    )
    parser.add_argument("--wall", help="the machine's address, with which containers get a wall")
    parser.add_argument("--node", type=_endpoint, action="append", default=[], help="HOST:PORT of its own")
    parser.add_argument("--reach", type=_endpoint, action="append", default=[], help="HOST:PORT of others")
    parser.add_argument("--work", type=Path, help="folder of the NodeManager's files")
    parser.add_argument("--image", type=Path, help="the disk that is mounted there")
    parser.add_argument("--disk-mib", type=int, default=0, help="that an application may hold there; 0: all")
    parser.add_argument("--full-percent", type=int, default=100, help="of that disk, with which it is full")
    parser.add_argument("--full-mib", type=int, default=0, help="that are free there when it is full")
    parser.add_argument("command", nargs="+")
    chosen = parser.parse_args(arguments)
    if os.getpid() != 1:
        tree.die_with_parent(signal.SIGTERM)
    tree.collect_orphans()
    if chosen.image is not None:
        own_disk.mount(chosen.image, chosen.work, chosen.uid, chosen.gid)
    _arrange(chosen.cover, chosen.bind)
    means = _means(chosen)
    leaders = Leaders(chosen.door, means) if chosen.door else None
    child = subprocess.Popen(
        chosen.command,
        stdin=subprocess.DEVNULL,
        user=chosen.uid,
        group=chosen.gid,
        extra_groups=[] if chosen.uid is not None else None,
        start_new_session=True,
        umask=0o027,
        preexec_fn=lambda: tree.die_with_parent(signal.SIGKILL),  # safe: no other thread runs yet
    )
    ending = threading.Event()
    for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sent, lambda *_: ending.set())
    threading.Thread(target=_until_input_closes, args=[ending], daemon=True).start()
    threading.Thread(target=_end, args=[child.pid, ending], daemon=True).start()
    if leaders is not None:
        threading.Thread(target=leaders.keep, args=[child.pid], daemon=True).start()
        if chosen.work and chosen.disk_mib:
            limit = Limit(chosen.work, chosen.disk_mib, chosen.full_percent, chosen.full_mib)
            threading.Thread(target=leaders.hold_to, args=[limit], daemon=True).start()
    code = tree.wait_for(child.pid)
    if means.wall is not None:
        means.wall.take_down()
    if os.getpid() != 1:  # else the kernel does it
        tree.end_descendants()
    return code


def _means(chosen: argparse.Namespace) -> Means:
    """Return what containers are kept in. Raises OSError where it does not work here: it was tried before."""
    accounts = wall = None
    if chosen.accounts is not None:
        accounts = Accounts(chosen.accounts, (chosen.uid, chosen.gid), chosen.work)
    if chosen.wall is not None:
        wall = Wall(chosen.groups.parent, chosen.wall, chosen.node, chosen.reach)
    return Means(chosen.groups, dict(chosen.limit), accounts, wall)


def _endpoint(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    return address, int(port)


def _limit(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    return name, Path(folder)


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
        mounts.cover(cover, "mode=755,size=4m")
    for descriptor, place in opened:
        mounts.show(descriptor, place)
        os.close(descriptor)


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


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)
