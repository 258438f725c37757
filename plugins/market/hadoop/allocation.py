"""The size of a container: what Spark asks of YARN for a heap, and what YARN rounds that up to.

Quotes, the calculator, the meter and `spark-submit` all read it here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from market.kit import settings

# YARN rounds a container's memory up to a multiple of its smallest allocation.
ALLOCATION_MIB = 64
DRIVER_CORES = 1
OFF_HEAP_ENABLED, OFF_HEAP_SIZE = "spark.memory.offHeap.enabled", "spark.memory.offHeap.size"
_SIZE = re.compile(r"([0-9]{1,15})([a-z]{0,2})")
_UNITS = {"": 0, "b": 0} | {
    unit: power * 10 for power, letter in enumerate("kmgtp", start=1) for unit in (letter, f"{letter}b")
}
_OVERHEAD_SHARE = 10  # a tenth of the heap, as Spark's own default, where that is more than the setting


def overhead_mib(heap_mib: int) -> int:
    """Return the memory beside a heap: of Python, threads and buffers."""
    return max(settings.load().jobs.memory_overhead_mib, heap_mib // _OVERHEAD_SHARE)


def container_mib(heap_mib: int, off_heap_mib: int = 0) -> int:
    """Return the memory that YARN allocates for a container with this heap, in MiB."""
    wanted = heap_mib + overhead_mib(heap_mib) + off_heap_mib
    return -(-wanted // ALLOCATION_MIB) * ALLOCATION_MIB


def off_heap_mib(conf: Mapping[str, str]) -> int:
    """Return the memory outside the heap that Spark asks for each executor by its settings, in MiB.

    Raises ValueError, in words, for what Spark would refuse.
    """
    enabled = conf.get(OFF_HEAP_ENABLED, "false").strip().lower()
    if enabled not in ("true", "false"):
        raise ValueError("must be true or false")
    if enabled == "false":
        return 0
    size = _SIZE.fullmatch(conf.get(OFF_HEAP_SIZE, "0").strip().lower())
    unit = _UNITS.get(size[2]) if size else None
    mib = (int(size[1]) << unit) >> 20 if size and unit is not None else 0
    if mib < 1:
        raise ValueError(f"needs {OFF_HEAP_SIZE} of at least 1m, as in 512m or 2g")
    return mib


def most_mib() -> int:
    """Return the memory of the largest container that YARN gives, in MiB."""
    return settings.load().jobs.max_container_memory_mib // ALLOCATION_MIB * ALLOCATION_MIB


def most_heap_mib() -> int:
    """Return the largest heap whose container YARN gives."""
    limits, most = settings.load().jobs, most_mib()
    whole, rest = divmod(most, _OVERHEAD_SHARE + 1)
    beside_a_share = whole * _OVERHEAD_SHARE + min(rest, _OVERHEAD_SHARE - 1)
    return min(most - limits.memory_overhead_mib, beside_a_share)


def containers(
    driver_mib: int, executor_mib: int, executor_cores: int, executors: int, off_heap_mib: int = 0
) -> list[tuple[int, int]]:
    """Return each container's (vcores, MiB) of one application as YARN allocates them, the driver's first.

    The arguments in MiB are heaps, and what each executor has beside its heap by Spark's own settings.
    """
    driver = (DRIVER_CORES, container_mib(driver_mib))
    return [driver] + [(executor_cores, container_mib(executor_mib, off_heap_mib))] * executors
