"""A NodeManager's configuration: the market's part, sent at a registration, and this machine's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

Files = dict[str, dict[str, str]]  # properties by file, as core-site.xml

_CORES = "yarn.nodemanager.resource.cpu-vcores"
_MEMORY = "yarn.nodemanager.resource.memory-mb"


@dataclass(frozen=True)
class Ports:
    """The ports of one NodeManager, all on its machine's address; `service` is the registered one."""

    service: int
    localizer: int
    web: int
    collector: int


def resized(shared: Files, cores: int, memory_mib: int) -> Files:
    """Return the market's part for another size of the machine."""
    size = {_CORES: str(cores), _MEMORY: str(memory_mib)}
    return shared | {"yarn-site.xml": shared["yarn-site.xml"] | size}


def local_files(
    shared: Files, address: str, ports: Ports, work: Path, path: str, inherited: Iterable[str]
) -> Files:
    """Return the whole configuration: the market's, and this machine's address, ports and folders.

    `path` is where containers look for programs. It cannot be inherited: their shell has a PATH of its own
    when it starts, and keeps it. `inherited` are the variables that containers take over from it.
    """
    core = shared["core-site.xml"] | {"hadoop.tmp.dir": str(work / "tmp")}
    yarn = shared["yarn-site.xml"] | {
        "yarn.nodemanager.admin-env": f"MALLOC_ARENA_MAX=2,PATH={path}",
        "yarn.nodemanager.env-whitelist": ",".join(inherited),
        "yarn.nodemanager.hostname": address,
        "yarn.nodemanager.bind-host": address,
        "yarn.nodemanager.address": f"{address}:{ports.service}",
        "yarn.nodemanager.localizer.address": f"{address}:{ports.localizer}",
        "yarn.nodemanager.webapp.address": f"{address}:{ports.web}",
        "yarn.nodemanager.collector-service.address": f"{address}:{ports.collector}",
        "yarn.nodemanager.local-dirs": str(work / "local"),
        "yarn.nodemanager.log-dirs": str(work / "logs"),
        "yarn.nodemanager.user-home-dir": str(work / "home"),
    }
    return {"core-site.xml": core, "yarn-site.xml": yarn}


def xml(properties: dict[str, str]) -> str:
    """Return properties as Hadoop reads them."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<configuration>"]
    for name, value in properties.items():
        lines.append(f"  <property><name>{escape(name)}</name><value>{escape(value)}</value></property>")
    return "\n".join([*lines, "</configuration>", ""])
