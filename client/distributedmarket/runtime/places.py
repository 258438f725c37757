"""Where things lie on a machine: what is installed once, and what belongs to each machine of this host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distributedmarket.runtime import aside


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
        """What runs jobs: pyspark, Python libraries, the archive of Java's classes.

        It is the folder itself, not the link to it: Java takes the archive for the jars of this path only.
        """
        return aside.real(self.runtime_link)

    @property
    def runtime_link(self) -> Path:
        """The link to the one in use."""
        return self.installs / "runtime"

    @property
    def origin(self) -> Path:
        """Where `installs` has its environments from: of a market's release its clone's, else the same."""
        link = self.installs / "origin"
        return aside.real(link) if link.is_symlink() else self.installs

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
