"""A NodeManager's configuration: the market's part, sent at a registration, and this machine's own."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

Files = dict[str, dict[str, str]]  # properties by file, as core-site.xml

# Niceness of what runs in containers: programs that fill all processors of a machine leave its NodeManager,
# its agent and its owner enough of them. A machine that is silent for 40 s is taken for dead.
_PROGRAMS_NICE = 5
_CORES = "yarn.nodemanager.resource.cpu-vcores"
_MEMORY = "yarn.nodemanager.resource.memory-mb"
# The market's own: Hadoop knows no such limit. A market of an earlier release does not say it.
_DISK = "market.nodemanager.application.disk-mb"
# The market's services that containers speak to, as HOST:PORT,...
_REACHABLE = "market.nodemanager.container.reachable"
_PROTECTION = "hadoop.rpc.protection"
_CHECKER = "yarn.nodemanager.disk-health-checker"


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


def encrypted(shared: Files) -> bool:
    """Tell whether the market's part has connections encrypted."""
    return shared.get("core-site.xml", {}).get(_PROTECTION) == "privacy"


def disk_options(shared: Files) -> list[str]:
    """Return what the guard is told of the bounds of the machine's disk."""
    yarn = shared["yarn-site.xml"]
    percent = float(yarn.get(f"{_CHECKER}.max-disk-utilization-per-disk-percentage", "90"))
    free_mib = yarn.get(f"{_CHECKER}.min-free-space-per-disk-mb", "0")
    options = ["--disk-mib", yarn.get(_DISK, "0")]
    return [*options, "--full-percent", str(int(percent)), "--full-mib", free_mib]


def reachable(shared: Files) -> list[tuple[str, int]]:
    """Return the addresses and ports that containers may reach on this very host, if the market is there."""
    found = []
    for endpoint in filter(None, shared["yarn-site.xml"].get(_REACHABLE, "").split(",")):
        host, _, port = endpoint.rpartition(":")
        with suppress(OSError):  # a name that is not known here is no address of this host
            found += [
                (str(known[0]), int(port))
                for *_, known in socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
            ]
    return found


def local_files(
    shared: Files,
    address: str,
    ports: Ports,
    work: Path,
    path: str,
    inherited: Iterable[str],
    identity: Files | None = None,
) -> Files:
    """Return the whole configuration: the market's, and this machine's address, ports and folders.

    `path` is where containers look for programs. It cannot be inherited: their shell has a PATH of its own
    when it starts, and keeps it. `inherited` are the variables that containers take over from it, `identity`
    is what says who the machine is.
    """
    core = shared["core-site.xml"] | {"hadoop.tmp.dir": str(work / "tmp")}
    yarn = shared["yarn-site.xml"] | {
        # It has the NodeManager run `nice` before a container: see enclosure.py, too.
        "yarn.nodemanager.container-executor.os.sched.priority.adjustment": str(_PROGRAMS_NICE),
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
    whole = shared | {"core-site.xml": core, "yarn-site.xml": yarn}
    return {name: whole.get(name, {}) | (identity or {}).get(name, {}) for name in whole}


def xml(properties: dict[str, str]) -> str:
    """Return properties as Hadoop reads them."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<configuration>"]
    for name, value in properties.items():
        lines.append(f"  <property><name>{escape(name)}</name><value>{escape(value)}</value></property>")
    return "\n".join([*lines, "</configuration>", ""])
