"""Where things lie on a machine: what is installed once, and what belongs to each machine of this host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """`installs` is shared by all machines of a host, `state` holds a folder for each of them."""

    installs: Path
    state: Path

    @property
    def tools(self) -> Path:
        """Python environment of the installer."""
        return self.installs / "tools"

    @property
    def runtime(self) -> Path:
        """What runs jobs: pyspark, Python libraries, the archive of Java's classes."""
        return self.installs / "runtime"

    @property
    def hadoop(self) -> Path:
        """Hadoop's servers: `jars/`, and `classes/` where the market itself runs."""
        return self.installs / "hadoop"

    @property
    def cache(self) -> Path:
        """What the installer has downloaded."""
        return self.installs / "uv-cache"

    @property
    def machines(self) -> Path:
        """A folder for each machine."""
        return self.state / "machines"
