"""How the NodeManager is kept apart from the market and from its host's owner.

Started by root it runs as `nobody` in namespaces of its own; started by a user, in bubblewrap where that is
installed. YARN's classes refuse a user without an entry in the account database, and nothing outside the
market's own folder is changed, so the account is one that every system has.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "nobody"
_SPACES = ("unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--")
_GUARD = str(Path(__file__).with_name("guard.py"))


@dataclass(frozen=True)
class Sandbox:
    """`words` come before the command; `uid` and `gid` own the work folder; `description` is for people."""

    words: tuple[str, ...]
    uid: int
    gid: int
    description: str

    def around(self, *options: str) -> list[str]:
        """Return the words with more options for the guard."""
        return [*self.words[:-1], *options, self.words[-1]]


def weakness() -> str:
    """Return what machines of this host cannot keep jobs from, in words; empty where all is hidden."""
    lacking = _without_namespaces() if os.geteuid() == 0 else _without_bubblewrap()
    return f"its jobs run {lacking}" if lacking else ""


def sandbox(work: Path, readable: list[Path], hidden: list[Path]) -> Sandbox:
    """Return how to run a NodeManager that writes in `work`, reads `readable` and does not see `hidden`."""
    # The system's interpreter: the environment's own folder may be among what is hidden.
    guard = [os.path.realpath(sys.executable), "-I", _GUARD]
    if os.geteuid() == 0:
        return _as_nobody(guard, work, readable, hidden)
    lacking = _without_bubblewrap()
    if not lacking:
        words = ["bwrap", "--die-with-parent", "--unshare-pid", "--dev-bind", "/", "/", "--proc", "/proc"]
        for folder in hidden:
            words += ["--tmpfs", str(folder)]
        for folder in readable:
            words += ["--ro-bind", str(folder), str(folder)]
        words += ["--bind", str(work), str(work), "--"]
        return Sandbox((*words, *guard, "--"), os.getuid(), os.getgid(), "in bubblewrap")
    return Sandbox((*guard, "--"), os.getuid(), os.getgid(), lacking)


def _as_nobody(guard: list[str], work: Path, readable: list[Path], hidden: list[Path]) -> Sandbox:
    account = pwd.getpwnam(ACCOUNT)
    guard += ["--uid", str(account.pw_uid), "--gid", str(account.pw_gid)]
    lacking = _without_namespaces()
    if lacking:
        return Sandbox((*guard, "--"), account.pw_uid, account.pw_gid, lacking)
    needed = [work, *readable]
    covered = list(dict.fromkeys([*filter(None, map(_barrier, needed)), *hidden]))
    # A folder below another covered one is gone already.
    covers = [folder for folder in covered if not any(other in folder.parents for other in covered)]
    for cover in covers:
        guard += ["--cover", str(cover)]
    temporary = Path("/tmp")  # noqa: S108 - a folder of the machine's own is put there, before what lies in it
    guard += ["--bind", f"{work / 'tmp'}:{temporary}"]
    for folder in needed:
        if any(cover in folder.parents for cover in [*covers, temporary]):
            guard += ["--bind", f"{folder}:{folder}"]
    description = f"as {ACCOUNT}, in namespaces of its own"
    return Sandbox((*_SPACES, *guard, "--"), account.pw_uid, account.pw_gid, description)


def _without_namespaces() -> str:
    if _works([*_SPACES, "true"]):
        return ""
    return (
        f"as {ACCOUNT}, without namespaces (this container forbids them): jobs see other processes, /tmp and "
        "the files of jobs on other machines of this host"
    )


def _without_bubblewrap() -> str:
    if shutil.which("bwrap") and _works(["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "true"]):
        return ""
    return (
        "WITHOUT a sandbox: jobs can read your files, see other processes and /tmp; install bubblewrap, or "
        "start as root"
    )


def _barrier(folder: Path) -> Path | None:
    """Return the first folder on the way to one that others may not pass through."""
    for step in reversed(folder.parents):
        if not step.stat().st_mode & 0o001:
            return step
    return None


def _works(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0
