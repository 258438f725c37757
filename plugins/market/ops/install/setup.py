"""Setup: everything that a fresh clone lacks, step by step, each once.

A step is done when its stamp holds the digest of its inputs; an interrupted setup goes on at the first
step without one. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path

from market.kit import settings
from market.ops.install.install_steps import TEST_ENVIRONMENT, Fetch, Step, agent_steps, machine_steps, steps
from market.ops.install.shell import SetupError, command

_GIB = 1024**3
_STACK_GIB, _AGENT_GIB, _MACHINE_GIB = 5, 1, 3


def run(paths: settings.Paths, for_tests: bool = False) -> bool:
    """Do what the stack lacks, saying so; tell whether there was anything to do.

    Raises SetupError when the system lacks what this user may not install, or a step fails.
    """
    return _carry_out(paths, _packages(for_tests), lambda: _wanted(paths, for_tests), _STACK_GIB)


def run_agent(paths: settings.Paths) -> bool:
    """Do the same for what `./market share` starts with: its own environment, and Java on the system."""
    return _carry_out(paths, [_JRE], lambda: agent_steps(paths), _AGENT_GIB)


def run_machine(paths: settings.Paths, fetch: Fetch) -> bool:
    """Do the same for what a machine runs jobs with; `fetch` gets Hadoop's archive from the market."""
    return _carry_out(paths, [], lambda: machine_steps(paths, fetch), _MACHINE_GIB)


def _carry_out(
    paths: settings.Paths, packages: list[str], wanted: Callable[[], list[Step]], needed_gib: int
) -> bool:
    paths.installs.mkdir(exist_ok=True)
    with _exclusively(paths.installs / "setup.lock"):
        _system(packages)
        todo = [step for step in wanted() if not _done(paths, step)]
        if not todo:
            return False
        free = shutil.disk_usage(paths.installs).free
        if free < needed_gib * _GIB:
            raise SetupError(
                f"{paths.installs} has {free / _GIB:.1f} GiB free and setup needs {needed_gib}: make room"
            )
        for number, step in enumerate(todo, 1):
            print(f"setup {number}/{len(todo)}: {step.title}", file=sys.stderr, flush=True)
            for name in step.undoes:
                _stamp(paths, name).unlink(missing_ok=True)
            step.run()
            stamp = _stamp(paths, step.name)
            stamp.parent.mkdir(exist_ok=True)
            stamp.write_text(_digest(step))
    return True


def _wanted(paths: settings.Paths, for_tests: bool) -> list[Step]:
    """Return the steps; an environment with the test tools serves for everything.

    To trade it for the one without would take the tools away from tests that run, which start stacks.
    """
    with_tools = steps(paths, for_tests=True)
    equipped = all(_done(paths, step) for step in with_tools if step.name == TEST_ENVIRONMENT)
    return with_tools if for_tests or equipped else steps(paths)


def _digest(step: Step) -> str:
    digest = hashlib.sha256()
    for part in step.inputs():
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _stamp(paths: settings.Paths, name: str) -> Path:
    return paths.installs / "stamps" / name


def _done(paths: settings.Paths, step: Step) -> bool:
    stamp = _stamp(paths, step.name)
    return stamp.exists() and stamp.read_text() == _digest(step) and not step.needed()


@contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        flock(lock, LOCK_EX)
        yield


# --- what Debian provides ---------------------------------------------------------------------------------

_JDK, _JRE = "openjdk-17-jdk-headless", "openjdk-17-jre-headless"
_WHY = {
    _JDK: "Hadoop and Spark run on Java 17 or 21",
    _JRE: "Hadoop and Spark run on Java 17 or 21",
    "maven": "Hadoop's servers come from Maven Central",
    "bubblewrap": "jobs run in a sandbox that hides the market's state",
    "chromium": "the browser tests look at the pages",
    "chromium-driver": "the browser tests drive the browser",
}


def _packages(for_tests: bool) -> list[str]:
    names = [_JDK, "maven"]
    if os.geteuid() != 0 or for_tests:  # root has a better way, and tests that lend as somebody else
        names.append("bubblewrap")
    if for_tests:
        names += ["chromium", "chromium-driver"]
    return names


def _system(packages: Iterable[str]) -> None:
    missing = [name for name in packages if not _present(name)]
    if not missing:
        return
    install = "apt-get install -y " + " ".join(missing)
    reasons = "; ".join(f"{name}: {_WHY[name]}" for name in missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupError(f"this system lacks {', '.join(missing)} ({reasons}). Run: sudo {install}")
    print(f"setup: installing from Debian: {reasons}", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command(["apt-get", "update", "-qq"], "apt-get update", env=environment)
    command(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], install, env=environment
    )


def _present(package: str) -> bool:
    if package in (_JDK, _JRE):
        compiles = package == _JRE or shutil.which("javac") is not None
        return java_version() in (17, 21) and compiles
    program = {"maven": "mvn", "bubblewrap": "bwrap", "chromium-driver": "chromedriver"}.get(package, package)
    return shutil.which(program) is not None


def java_version() -> int | None:
    """Return the major version of the Java on the PATH, or None."""
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    match = re.search(r'version "(\d+)', said)
    return int(match.group(1)) if match else None
