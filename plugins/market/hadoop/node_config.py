"""A NodeManager's configuration, as far as the market sets it; there is no secret in it.

What only the machine knows (its address, ports, folders and variables) is added by its agent.
"""

from __future__ import annotations

from market.hadoop import secured, site
from market.kit.settings import Settings

Files = dict[str, dict[str, str]]

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
# What a program's driver and executors speak to; agents keep them from all else on the market's host.
_FOR_CONTAINERS = (
    "namenode_rpc",
    "namenode_http",
    "datanode_data",
    "datanode_http",
    "datanode_ipc",
    "resourcemanager_scheduler",
    "api",
)
# What answers to nobody without a proof, where servers ask for one.
_WITH_PROOFS = (
    "resourcemanager_rpc",
    "resourcemanager_http",
    "resourcemanager_admin",
    "jobhistory_http",
    "spark_history_http",
)
_CACHE_MIB = 2048
# From the signal that asks a container to end to the one that ends it: a driver saves its last results.
GRACE_MS = 3_000


def shared_files(settings: Settings, cores: int, memory_mib: int) -> Files:
    """Return the properties that the market sets for a machine of this size."""
    files = site.files(settings)
    core = {name: files["core-site.xml"][name] for name in _SERVER_CORE}
    yarn = {name: files["yarn-site.xml"][name] for name in _SERVER_YARN}
    yarn |= _size(cores, memory_mib)
    reachable = (*_FOR_CONTAINERS, *(_WITH_PROOFS if settings.kerberos else ()))
    yarn["market.nodemanager.container.reachable"] = ",".join(map(settings.address, reachable))
    yarn |= {
        # A container that uses more memory than was allocated is killed. Virtual memory says nothing about
        # Java.
        "yarn.nodemanager.pmem-check-enabled": "true",
        # By default YARN leaves that to cgroups, also on hosts where it uses none: then nothing is limited.
        "yarn.nodemanager.resource.memory.enforced": "false",
        "yarn.nodemanager.vmem-check-enabled": "false",
        # By default YARN puts the script that starts a container, with all its variables, among its logs.
        "yarn.nodemanager.log-container-debug-info.enabled": "false",
        "yarn.nodemanager.localizer.cache.target-size-mb": str(_CACHE_MIB),
        "yarn.nodemanager.sleep-delay-before-sigkill.ms": str(GRACE_MS),
        # Wait for a market that restarts, however long: machines stay lent.
        "yarn.resourcemanager.connect.max-wait.ms": "-1",
        "yarn.resourcemanager.connect.retry-interval.ms": "2000",
    }
    plain = {"core-site.xml": core, "yarn-site.xml": yarn | _disks(settings)}
    if not settings.kerberos:
        return plain
    proofs = secured.machine_files(settings)
    return {name: plain.get(name, {}) | proofs[name] for name in proofs}


def _disks(settings: Settings) -> dict[str, str]:
    """Return what bounds a machine's disk: for a container's logs, for a job there, for all of it."""
    monitor, checker = "yarn.nodemanager.container-log-monitor", "yarn.nodemanager.disk-health-checker"
    log_bytes = str(settings.jobs.max_log_mib << 20)
    return {
        f"{monitor}.enable": "true",
        f"{monitor}.interval-ms": "1000",  # a disk takes 1 GB or so meanwhile
        f"{monitor}.dir-size-limit-bytes": log_bytes,
        f"{monitor}.total-size-limit-bytes": log_bytes,
        f"{checker}.interval-ms": "10000",
        f"{checker}.max-disk-utilization-per-disk-percentage": str(settings.machines.max_disk_percent),
        f"{checker}.min-free-space-per-disk-mb": str(settings.machines.min_free_disk_mib),
        # YARN has no limit for local files: the agent reads this one, and its guard keeps it.
        "market.nodemanager.application.disk-mb": str(settings.jobs.max_disk_mib),
    }


def _size(cores: int, memory_mib: int) -> dict[str, str]:
    """Return the properties for a machine's size."""
    return {
        "yarn.nodemanager.resource.cpu-vcores": str(cores),
        "yarn.nodemanager.resource.memory-mb": str(memory_mib),
    }
