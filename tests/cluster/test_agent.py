"""A host with nothing but Python and Java lends itself: the agent installs what it needs, and no more."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agents import Agent
from people import Person, person

from market import settings

pytestmark = pytest.mark.cluster

WHERE = """
    import os, sys
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate().sparkContext

    def here(_):
        return os.environ["MARKET_RUNTIME"], os.getuid(), "seen" if os.path.exists(sys.argv[1]) else "hidden"

    print("executor", *spark.parallelize([0], 1).map(here).first())
"""
# What the steps of a machine may leave, and the machine itself.
INSTALLED = {"tools", "agent-env", "hadoop", "runtime", "class-data.log", "stamps", "setup.lock", "uv-cache"}
STATE = {"machines", "password"}
_LARGE = 1 << 20


@dataclass(frozen=True)
class Clone:
    """A fresh copy of this project that belongs to an ordinary user, who has a PATH without Maven."""

    root: Path
    uid: int
    gid: int
    environment: dict[str, str]


@pytest.fixture(scope="module")
def clone() -> Iterator[Clone]:
    # Root becomes somebody else: an account that every system has, and no other test runs anything as.
    account = pwd.getpwnam("daemon") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory(prefix="market-") as folder:
        home = Path(folder)
        root = home / "clone"
        skipped = shutil.ignore_patterns(".git", ".market", "__pycache__", "*.pyc", ".*_cache")
        shutil.copytree(settings.ROOT, root, ignore=skipped)
        programs = home / "bin"
        programs.mkdir()
        for absent in ("mvn", "javac"):
            (programs / absent).write_text(f"#!/bin/sh\necho {absent} was called >&2\nexit 99\n")
            (programs / absent).chmod(0o755)
        _share_downloads(root)
        for path in (home, *home.rglob("*")):
            if not path.is_symlink() and (path.is_dir() or path.stat().st_nlink == 1):
                os.chown(path, account.pw_uid, account.pw_gid)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MARKET_", "AIRFLOW", "PYTHON"))
        }
        path = f"{programs}:{os.defpath}"
        # Nobody may link to another's files, and here some of the downloads are.
        changed = {"PATH": path, "HOME": str(home), "UV_LINK_MODE": "copy"}
        yield Clone(root, account.pw_uid, account.pw_gid, kept | changed)


def _share_downloads(root: Path) -> None:
    """Let the copy find the wheels that this clone has downloaded; what is large is not stored twice."""

    def linked(source: str, target: str) -> None:
        # The small ones are markers and locks, too, which the installer opens to write.
        (os.link if os.stat(source).st_size > _LARGE else shutil.copy)(source, target)

    cache = settings.ROOT / ".market" / "uv-cache"
    if cache.exists():
        shutil.copytree(cache, root / ".market" / "uv-cache", copy_function=linked, symlinks=True)


def test_a_host_with_python_and_java_alone_joins_and_runs_a_job(
    stack: settings.Settings, clone: Clone, buyer: Person, program: Callable[[str], str]
) -> None:
    owner = person(stack, "owner")
    password = clone.root / ".market" / "password"  # where nothing that runs on the machine should see it
    password.parent.mkdir(exist_ok=True)
    password.write_text(owner.password)
    for path in (password.parent, password):
        os.chown(path, clone.uid, clone.gid)
    command = [str(clone.root / "market"), "share", "--cores", "1", "--memory", "1g", "--type", "highmem"]
    command += ["--hours", "1", "--password-file", str(password), "--server", stack.url("api")]
    as_owner: dict[str, Any] = {"cwd": clone.root}
    if os.geteuid() == 0:
        as_owner |= {"user": clone.uid, "group": clone.gid, "extra_groups": []}
    boxed = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "true"]
    possible = subprocess.run(boxed, env=clone.environment, **as_owner).returncode == 0
    log = clone.root.parent / "agent.log"
    agent = Agent.start(command, "fresh", owner, log, clone.environment, **as_owner)
    try:
        agent.wait("active", 400)
        assert ("in bubblewrap" if possible else "WITHOUT a sandbox") in agent.said()
        buyer.put("where/main.py", program(WHERE))
        job_id = buyer.submit("where", machine_type="highmem", app_params=[str(password)])
        job = buyer.ended(job_id)
        assert job["status"] == "succeeded", (job, buyer.log(job_id, "executor", "stderr")[-2000:])
        runtime = clone.root / ".market" / "runtime"
        seen = "hidden" if possible else "seen"
        assert buyer.log(job_id).split() == ["executor", str(runtime), str(clone.uid), seen]
    finally:
        agent.end()
    assert agent.record()["availability"] == "left"
    assert agent.left_behind() == []

    made = clone.root / ".market"
    assert {path.name for path in made.iterdir()} <= INSTALLED | STATE
    assert {path.stat().st_uid for path in made.iterdir()} == {clone.uid}
    packages = {path.name.lower() for path in made.glob("*/lib/python3*/site-packages/*")}
    assert {"requests", "pyspark"} <= packages
    assert not {
        name for name in packages if name.startswith(("airflow", "apache_airflow", "psycopg", "flask"))
    }
    for step in ("the agent's environment", "Hadoop's jars, from the market", "the jobs' runtime"):
        assert step in agent.said()
