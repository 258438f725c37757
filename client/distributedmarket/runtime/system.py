"""What the operating system provides: checked, and installed where this user may do that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from distributedmarket.errors import SetupError
from distributedmarket.runtime import java, terminal
from distributedmarket.runtime.shell import command


@dataclass(frozen=True)
class Package:
    """A package of Debian, why it is needed, and whether it is there, from Debian or from elsewhere."""

    name: str
    why: str
    present: Callable[[], bool]


JRE = Package(
    "openjdk-17-jre-headless",
    "Hadoop and Spark run on Java 17 or 21",
    lambda: java.version() in java.VERSIONS,
)


def lacking(packages: Iterable[Package]) -> list[Package]:
    """Return what is missing. Raises SetupError, with the command to run, where only root may install it."""
    missing = [package for package in packages if not package.present()]
    if missing and (os.geteuid() != 0 or shutil.which("apt-get") is None):
        names = " ".join(package.name for package in missing)
        raise SetupError(
            f"this system lacks {names.replace(' ', ', ')} ({_reasons(missing)}). "
            f"Run: sudo apt-get install -y {names}"
        )
    return missing


def add(packages: Sequence[Package]) -> None:
    """Install packages from Debian, saying why. Raises SetupError."""
    names = [package.name for package in packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *names]
    terminal.say(f"This system lacks packages of Debian: {_reasons(packages)}")
    with terminal.step(f"installed {', '.join(names)}"):
        command(["apt-get", "update", "-qq"], "apt-get update", env=environment)
        command(install, f"apt-get install {' '.join(names)}", env=environment)


def _reasons(packages: Iterable[Package]) -> str:
    return "; ".join(f"{package.name}: {package.why}" for package in packages)
