"""A host that has Python and Java alone, and lends itself from a fresh copy of this project."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents import Agent
from people import Person

from market.kit import settings

_LARGE = 1 << 20


@dataclass(frozen=True)
class FreshHost:
    """The running agent of an ordinary user, who has a PATH without Maven; `root` is his copy.

    `secret` is a file of his which nothing that runs on the machine should see; `boxed` tells whether this
    system lets him use bubblewrap.
    """

    agent: Agent
    root: Path
    secret: Path
    uid: int
    boxed: bool


@contextmanager
def lent(stack: settings.Settings, owner: Person) -> Iterator[FreshHost]:
    """Start the agent, which installs what it needs first, and end it afterwards."""
    # Root becomes somebody else: an account that every system has, and no other test runs anything as.
    account = pwd.getpwnam("daemon") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory(prefix="market-") as folder:
        home = Path(folder)
        root, secret = home / "clone", home / "clone" / ".market" / "password"
        skipped = shutil.ignore_patterns(".git", ".market", "__pycache__", "*.pyc", ".*_cache")
        shutil.copytree(settings.ROOT, root, ignore=skipped)
        _share_downloads(root)
        secret.parent.mkdir(exist_ok=True)
        secret.write_text(owner.password)
        for path in (home, *home.rglob("*")):
            if not path.is_symlink() and (path.is_dir() or path.stat().st_nlink == 1):
                os.chown(path, account.pw_uid, account.pw_gid)
        environment = _environment(home)
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        boxed = _may_use_bubblewrap(environment, identity)
        command = [str(root / "market"), "share", "--cores", "1", "--memory", "1g", "--type", "fresh"]
        command += ["--hours", "1", "--password-file", str(secret), "--server", stack.url("api")]
        log = home / "agent.log"
        agent = Agent.start(command, "fresh", owner, log, environment, cwd=root, **identity)
        try:
            yield FreshHost(agent, root, secret, account.pw_uid, boxed)
        finally:
            agent.end()


def _may_use_bubblewrap(environment: dict[str, str], identity: dict[str, Any]) -> bool:
    program = shutil.which("bwrap", path=environment["PATH"])
    if program is None:
        return False
    tried = subprocess.run(
        [program, "--dev-bind", "/", "/", "--unshare-pid", "true"], env=environment, **identity
    )
    return tried.returncode == 0


def _environment(home: Path) -> dict[str, str]:
    programs = home / "bin"
    programs.mkdir()
    for absent in ("mvn", "javac"):
        (programs / absent).write_text(f"#!/bin/sh\necho {absent} was called >&2\nexit 99\n")
        (programs / absent).chmod(0o755)
    own = ("MARKET_", "AIRFLOW", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    # Nobody may link to another's files, and here some of the downloads are.
    changed = {"PATH": f"{programs}:{os.defpath}", "HOME": str(home), "UV_LINK_MODE": "copy"}
    return kept | changed


def _share_downloads(root: Path) -> None:
    """Let the copy find the wheels that this clone has downloaded; what is large is not stored twice."""

    def linked(source: str, target: str) -> None:
        # The small ones are markers and locks, too, which the installer opens to write.
        (os.link if os.stat(source).st_size > _LARGE else shutil.copy)(source, target)

    cache = settings.ROOT / ".market" / "uv-cache"
    if cache.exists():
        shutil.copytree(cache, root / ".market" / "uv-cache", copy_function=linked, symlinks=True)
