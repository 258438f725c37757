"""What the operating system provides: checked, and installed where this user may do that."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from distributedmarket.errors import SetupError
from distributedmarket.runtime import java
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


def require(packages: Iterable[Package]) -> None:
    """Install what is missing, saying why. Raises SetupError, with the command, where only root may."""
    missing = [package for package in packages if not package.present()]
    if not missing:
        return
    names = [package.name for package in missing]
    install = "apt-get install -y " + " ".join(names)
    reasons = "; ".join(f"{package.name}: {package.why}" for package in missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupError(f"this system lacks {', '.join(names)} ({reasons}). Run: sudo {install}")
    print(f"setup: installing from Debian: {reasons}", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command(["apt-get", "update", "-qq"], "apt-get update", env=environment)
    command(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *names], install, env=environment)
