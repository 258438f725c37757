"""The size of a container: what Spark asks of YARN for a heap, and what YARN rounds that up to.

Quotes, the calculator, the meter and `spark-submit` all read it here.
"""

from __future__ import annotations

from market.kit import settings

# YARN rounds a container's memory up to a multiple of its smallest allocation.
ALLOCATION_MIB = 64
DRIVER_CORES = 1
_OVERHEAD_SHARE = 10  # a tenth of the heap, as Spark's own default, where that is more than the setting


def overhead_mib(heap_mib: int) -> int:
    """Return the memory beside a heap: of Python, threads and buffers."""
    return max(settings.load().jobs.memory_overhead_mib, heap_mib // _OVERHEAD_SHARE)


def container_mib(heap_mib: int) -> int:
    """Return the memory that YARN allocates for a container with this heap, in MiB."""
    return -(-(heap_mib + overhead_mib(heap_mib)) // ALLOCATION_MIB) * ALLOCATION_MIB


def most_heap_mib() -> int:
    """Return the largest heap whose container YARN gives."""
    limits = settings.load().jobs
    most = limits.max_container_memory_mib // ALLOCATION_MIB * ALLOCATION_MIB
    whole, rest = divmod(most, _OVERHEAD_SHARE + 1)
    beside_a_share = whole * _OVERHEAD_SHARE + min(rest, _OVERHEAD_SHARE - 1)
    return min(most - limits.memory_overhead_mib, beside_a_share)


def containers(
    driver_mib: int, executor_mib: int, executor_cores: int, executors: int
) -> list[tuple[int, int]]:
    """Return each container's (vcores, MiB) of one application as YARN allocates them, the driver's first.

    The arguments in MiB are heaps.
    """
    driver = (DRIVER_CORES, container_mib(driver_mib))
    return [driver] + [(executor_cores, container_mib(executor_mib))] * executors
