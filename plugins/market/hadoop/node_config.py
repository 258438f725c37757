"""A NodeManager's configuration, as far as the market sets it; there is no secret in it.

What only the machine knows (its address, ports, folders and variables) is added by its agent.
"""

from __future__ import annotations

from market.hadoop import site
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
_CACHE_MIB = 2048


def shared_files(settings: Settings, cores: int, memory_mib: int) -> Files:
    """Return the properties that the market sets for a machine of this size."""
    files = site.files(settings)
    core = {name: files["core-site.xml"][name] for name in _SERVER_CORE}
    yarn = {name: files["yarn-site.xml"][name] for name in _SERVER_YARN}
    yarn |= _size(cores, memory_mib)
    yarn |= {
        # A container that uses more memory than was allocated is killed. Virtual memory says nothing about
        # Java.
        "yarn.nodemanager.pmem-check-enabled": "true",
        # By default YARN leaves that to cgroups, also on hosts where it uses none: then nothing is limited.
        "yarn.nodemanager.resource.memory.enforced": "false",
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.9",
        "yarn.nodemanager.localizer.cache.target-size-mb": str(_CACHE_MIB),
        # Wait for a market that restarts, however long: machines stay lent.
        "yarn.resourcemanager.connect.max-wait.ms": "-1",
        "yarn.resourcemanager.connect.retry-interval.ms": "2000",
    }
    return {"core-site.xml": core, "yarn-site.xml": yarn}


def _size(cores: int, memory_mib: int) -> dict[str, str]:
    """Return the properties for a machine's size."""
    return {
        "yarn.nodemanager.resource.cpu-vcores": str(cores),
        "yarn.nodemanager.resource.memory-mb": str(memory_mib),
    }
