"""A NodeManager's configuration: what the market says (no secret in it), and what only the machine knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from market.kit.settings import Settings

Files = dict[str, dict[str, str]]

# What a container inherits from its NodeManager. MARKET_RUNTIME stands in what is submitted for the folder
# of each machine; SPARK_LOCAL_IP binds drivers and executors to the machine's own address; the marks let
# what outlives its machine or its stack be found.
INHERITED = (
    "JAVA_HOME",
    "LANG",
    "TZ",
    "MARKET_RUNTIME",
    "SPARK_LOCAL_IP",
    "JDK_JAVA_OPTIONS",
    "MARKET_MACHINE",
    "MARKET_STACK",
)
_SERVER_CORE = ("fs.defaultFS", "hadoop.security.authentication", "hadoop.security.group.mapping")
_SERVER_YARN = (
    "yarn.resourcemanager.hostname",
    "yarn.resourcemanager.address",
    "yarn.resourcemanager.scheduler.address",
    "yarn.resourcemanager.resource-tracker.address",
    "yarn.resourcemanager.webapp.address",
    "yarn.scheduler.minimum-allocation-mb",
    "yarn.log-aggregation-enable",
    "yarn.log-aggregation.file-formats",
    "yarn.nodemanager.remote-app-log-dir",
    "yarn.nodemanager.log-aggregation.compression-type",
    "yarn.log.server.url",
    "yarn.timeline-service.enabled",
)
_CACHE_MIB = 2048


@dataclass(frozen=True)
class Ports:
    """The ports of one NodeManager, all on its machine's address; `service` is the registered one."""

    service: int
    localizer: int
    web: int
    collector: int


def shared_files(settings: Settings, cores: int, memory_mib: int) -> Files:
    """Return the properties that the market sets for a machine of this size."""
    from market.hadoop.site import files

    made = files(settings)
    core = {name: made["core-site.xml"][name] for name in _SERVER_CORE}
    yarn = {name: made["yarn-site.xml"][name] for name in _SERVER_YARN}
    yarn |= size(cores, memory_mib)
    yarn |= {
        # Memory is held to what was allocated; virtual memory says nothing of a Java process.
        "yarn.nodemanager.pmem-check-enabled": "true",
        # By default YARN leaves that to cgroups, also where it uses none, and nothing is held to anything.
        "yarn.nodemanager.resource.memory.enforced": "false",
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.9",
        "yarn.nodemanager.localizer.cache.target-size-mb": str(_CACHE_MIB),
        "yarn.nodemanager.env-whitelist": ",".join(INHERITED),
        # A market that restarts is waited for: machines stay lent.
        "yarn.resourcemanager.connect.max-wait.ms": "-1",
        "yarn.resourcemanager.connect.retry-interval.ms": "2000",
    }
    return {"core-site.xml": core, "yarn-site.xml": yarn}


def size(cores: int, memory_mib: int) -> dict[str, str]:
    """Return the properties that a machine's size is said with."""
    return {
        "yarn.nodemanager.resource.cpu-vcores": str(cores),
        "yarn.nodemanager.resource.memory-mb": str(memory_mib),
    }


def local_files(shared: Files, address: str, ports: Ports, work: Path, path: str) -> Files:
    """Return the whole configuration: the market's, and this machine's address, ports and folders.

    `path` is where containers look for programs. It cannot be inherited: their shell has a PATH of its own
    when it starts, and keeps it.
    """
    core = shared["core-site.xml"] | {"hadoop.tmp.dir": str(work / "tmp")}
    yarn = shared["yarn-site.xml"] | {
        "yarn.nodemanager.admin-env": f"MALLOC_ARENA_MAX=2,PATH={path}",
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
