"""An installation, step by step, each once.

A step is done when its stamp holds the digest of its inputs; an interrupted installation goes on at the first
step without one. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, flock
from pathlib import Path

from distributedmarket.errors import SetupError
from distributedmarket.runtime import shell, system, terminal
from distributedmarket.runtime.system import Package

_GIB = 1024**3
_LOG = "setup.log"  # what the tools of the last installation said


@dataclass(frozen=True)
class Step:
    """One step: `inputs` decide whether it must run again, `run` does it.

    `about_s` is how long it took on two cores with 100 Mbit/s, `mib` the room that it takes, caches included.
    """

    name: str
    title: str
    inputs: Callable[[], Iterable[bytes]]
    run: Callable[[], None]
    needed: Callable[[], bool] = field(default=lambda: False)
    undoes: tuple[str, ...] = ()  # steps that are no longer done after this one
    about_s: int = 1
    mib: int = 0


def carry_out(
    installs: Path, packages: Sequence[Package], wanted: Callable[[], Iterable[Step]], space_gib: int
) -> bool:
    """Do those of the `wanted` steps that are not done, saying so; tell whether there was one.

    One at a time in a folder. Raises SetupError when the system lacks a package that this user may not
    install, when there is less space than that, or when a step fails.
    """
    installs.mkdir(parents=True, exist_ok=True)
    log = installs / _LOG
    with _exclusively(installs / "setup.lock"), shell.logged(log):
        if lacking := system.lacking(packages):
            log.unlink(missing_ok=True)
            system.add(lacking)
        todo = [step for step in wanted() if not done(installs, step)]
        if not todo:
            return False
        _refuse_too_little(installs, space_gib)
        if not lacking:
            log.unlink(missing_ok=True)
        terminal.say(_outlook(installs, todo))
        for number, step in enumerate(todo, 1):
            for name in step.undoes:
                _stamp(installs, name).unlink(missing_ok=True)
            with terminal.step(f"{number}/{len(todo)} {step.title}"):
                step.run()
            stamp = _stamp(installs, step.name)
            stamp.parent.mkdir(exist_ok=True)
            stamp.write_text(_digest(step))
    return True


def _outlook(installs: Path, todo: Sequence[Step]) -> str:
    """Return what is to come, in words: how long, how much disk, and where to look."""
    steps = f"{len(todo)} step{'' if len(todo) == 1 else 's'}"
    time = terminal.about(sum(step.about_s for step in todo))
    mib = sum(step.mib for step in todo)
    disk = f" and {terminal.size(mib)} of disk" if mib else ""
    return f"Setting up {installs}: {steps}, {time}{disk}; what the tools say is in {installs / _LOG}"


def _refuse_too_little(installs: Path, space_gib: int) -> None:
    free = shutil.disk_usage(installs).free
    if free < space_gib * _GIB:
        raise SetupError(f"{installs} has {free / _GIB:.1f} GiB free and setup needs {space_gib}: make room")


def done(installs: Path, step: Step) -> bool:
    """Tell whether a step has been carried out with these inputs."""
    stamp = _stamp(installs, step.name)
    return stamp.exists() and stamp.read_text() == _digest(step) and not step.needed()


def _digest(step: Step) -> str:
    digest = hashlib.sha256()
    for part in step.inputs():
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _stamp(installs: Path, name: str) -> Path:
    return installs / "stamps" / name


@contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        flock(lock, LOCK_EX)
        yield
