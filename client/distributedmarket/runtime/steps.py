"""An installation, step by step, each once.

A step is done when its stamp holds the digest of its inputs; an interrupted installation goes on at the first
step without one. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, flock
from pathlib import Path

from distributedmarket.errors import SetupError
from distributedmarket.runtime import system
from distributedmarket.runtime.system import Package

_GIB = 1024**3


@dataclass(frozen=True)
class Step:
    """One step: `inputs` decide whether it must run again, `run` does it."""

    name: str
    title: str
    inputs: Callable[[], Iterable[bytes]]
    run: Callable[[], None]
    needed: Callable[[], bool] = field(default=lambda: False)
    undoes: tuple[str, ...] = ()  # steps that are no longer done after this one


def carry_out(
    installs: Path, packages: Sequence[Package], wanted: Callable[[], Iterable[Step]], space_gib: int
) -> bool:
    """Do those of the `wanted` steps that are not done, saying so; tell whether there was one.

    One at a time in a folder. Raises SetupError when the system lacks a package that this user may not
    install, when there is less space than that, or when a step fails.
    """
    installs.mkdir(parents=True, exist_ok=True)
    with _exclusively(installs / "setup.lock"):
        system.require(packages)
        todo = [step for step in wanted() if not done(installs, step)]
        if not todo:
            return False
        free = shutil.disk_usage(installs).free
        if free < space_gib * _GIB:
            raise SetupError(
                f"{installs} has {free / _GIB:.1f} GiB free and setup needs {space_gib}: make room"
            )
        for number, step in enumerate(todo, 1):
            print(f"setup {number}/{len(todo)}: {step.title}", file=sys.stderr, flush=True)
            for name in step.undoes:
                _stamp(installs, name).unlink(missing_ok=True)
            step.run()
            stamp = _stamp(installs, step.name)
            stamp.parent.mkdir(exist_ok=True)
            stamp.write_text(_digest(step))
    return True


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
