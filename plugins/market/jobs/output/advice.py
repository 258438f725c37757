"""Whether a job's size was worth it: a size that would have done, its cost, and how that follows.

All of it is arithmetic on what a job used (used.py); nothing is asked of anybody.

With fewer executors, what their tasks did one after the other takes as long as before, and what ran side by
side is spread anew over the cores that are left: the job, its driver with it, lasts longer by the difference.
With less memory, a container still has room for the most that it held and a reserve, and an executor for as
much more as there are fewer of them. No advice makes a run longer by more than a quarter, or saves less than
such a forecast may be wrong by.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from market.credits.tariff import Factors, price
from market.hadoop import allocation
from market.jobs.spec import MIN_HEAP_MIB, JobSpec
from market.kit.money import format_credits
from market.kit.vocabulary import DRIVER, EXECUTOR

Span = tuple[int, int]  # of a task: from, to; epoch ms

_RESERVE = 1.25  # of memory, times the most that was held: no two runs are the same
_LONGEST = 1.25  # times as long as it ran
_LEAST_SAVING = 0.1  # of the cost
_STEP_MIB = allocation.ALLOCATION_MIB
_MORE = 2  # times the heap where memory ran out
_ROUNDED_UCR = 100_000  # from a tenth of a credit on, sums are told with two places
_PLACES = 4  # that are left out then


def wall_ms(spans: Sequence[Span]) -> int:
    """Return for how long any task ran. `spans` are sorted by their beginning, here and below."""
    return sum(max(end for _, end in period) - period[0][0] for period in _periods(spans))


def makespan_ms(spans: Sequence[Span], cores: int) -> int:
    """Return for how long any task would run on so many cores.

    Tasks of one stretch without a pause were ready together: each is taken by the core that is free first, in
    their order. What came after a pause waited for what was before it, and does so again.
    """
    total = 0
    for period in _periods(spans):
        free = [0] * min(cores, len(period))
        for start, end in period:
            heapq.heapreplace(free, free[0] + end - start)
        total += max(free)
    return total


def _periods(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Yield the tasks of each stretch without a pause."""
    period: list[Span] = []
    until = -1
    for start, end in spans:
        if period and start >= until:
            yield period
            period = []
        period.append((start, end))
        until = max(until, end)
    if period:
        yield period


def fewer(executors: int) -> list[int]:
    """Return the numbers of executors, smaller than this one, that a forecast is made for."""
    halves = [executors >> power for power in range(1, executors.bit_length())]
    return sorted({number for half in halves for number in (half, half * 3 // 2) if number < executors})


@dataclass(frozen=True)
class _Forecast:
    spec: JobSpec
    lasts_ms: int
    ucr: int


def of(
    spec: JobSpec,
    reason_code: str | None,
    reason: str,
    used: Mapping[str, Any],
    factors: Factors,
    paid_ucr: int,
) -> dict[str, Any] | None:
    """Return a better size for a job (AdviceSchema), None where there is nothing better to be said.

    `used` is what used.py stored of it, `paid_ucr` what it has cost, in micro-credits; the forecast is at the
    job's own `factors`.
    """
    if reason_code == "out_of_memory":
        return _more(spec, reason, used)
    if not used.get("work") or not used.get(DRIVER) or not used.get(EXECUTOR):
        return None
    lasted_ms = used[DRIVER]["ms"][0]
    forecasts = [_forecast(spec, executors, used, factors) for executors in fewer(spec.executors)]
    forecasts.append(_forecast(spec, spec.executors, used, factors))
    best = min(
        (one for one in forecasts if one.lasts_ms <= lasted_ms * _LONGEST), key=lambda forecast: forecast.ucr
    )
    if best.ucr > paid_ucr * (1 - _LEAST_SAVING):
        return None
    return _size(best.spec) | {
        "cost": format_credits(best.ucr),
        "paid": format_credits(paid_ucr),
        "duration": best.lasts_ms,
        "sentence": _sentence(spec, best, paid_ucr, used),
    }


def _forecast(spec: JobSpec, executors: int, used: Mapping[str, Any], factors: Factors) -> _Forecast:
    """Return the job with so many executors and the memory that it needs, its length and its cost."""
    work, driver, others = used["work"], used[DRIVER], used[EXECUTOR]
    longer_ms = 0
    if executors < spec.executors:
        # Not shorter, where it never got as many executors as it asked for.
        longer_ms = max(0, work["on_fewer_ms"][str(executors)] - work["wall_ms"])
    chosen = replace(
        spec,
        core_num=executors * spec.executor_cores,
        driver_memory=_heap(spec.driver_memory, driver, 1),
        executor_memory=_heap(spec.executor_memory, others, spec.executors / executors),
    )
    lasts_ms = driver["ms"][0] + longer_ms
    held_ms = sorted(others["ms"])[-spec.executors :]  # not of one that was handed back
    executor_ms = sum(held_ms) // len(held_ms) + longer_ms
    locked = (factors.rate_micro, factors.weight_micro, factors.gib_weight_micro)
    times = [lasts_ms] + [executor_ms] * executors
    parts = [price(*locked, *size, ms) for size, ms in zip(chosen.containers, times, strict=True)]
    return _Forecast(chosen, lasts_ms, sum(int(part) for part in parts))


def _heap(heap_mib: int, used: Mapping[str, Any], share: float) -> int:
    """Return the smallest heap of a container that has room for what it held `share` times; at most its own.

    What is not known of every container stays as it was. Nobody knows how much of what was held was the heap
    and how much was Python's: so all of it fits into the heap, and with the reserve into the container.
    """
    if used["not_measured"] or not used["peak_memory_mib"]:
        return heap_mib
    held = used["peak_memory_mib"] * share
    smallest = max(MIN_HEAP_MIB, held, held * _RESERVE - allocation.overhead_mib(MIN_HEAP_MIB))
    return min(heap_mib, math.ceil(smallest / _STEP_MIB) * _STEP_MIB)


def _more(spec: JobSpec, reason: str, used: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return twice the heap for the role whose memory did not do; the reason of the end names its field."""
    role = EXECUTOR if f"{EXECUTOR}_memory" in reason else DRIVER
    had = spec.executor_memory if role == EXECUTOR else spec.driver_memory
    heap = min(had * _MORE, allocation.most_heap_mib())
    if heap <= had:
        return None
    chosen = replace(spec, executor_memory=heap) if role == EXECUTOR else replace(spec, driver_memory=heap)
    figures = used.get(role) or {}
    held = ""
    if peak := figures.get("peak_memory_mib"):
        held = f": a container held {peak} of its {figures['memory_mib']} MiB"
    sentence = f"Ask for {role}_memory {heap} MiB instead of {had}, twice as much{held}."
    return _size(chosen) | {"cost": None, "paid": None, "duration": None, "sentence": sentence}


def _size(spec: JobSpec) -> dict[str, Any]:
    names = ("core_num", "executor_cores", "driver_memory", "executor_memory")
    return {name: getattr(spec, name) for name in names}


def _sentence(spec: JobSpec, best: _Forecast, paid_ucr: int, used: Mapping[str, Any]) -> str:
    chosen, places = best.spec, _PLACES if best.ucr >= _ROUNDED_UCR else 0
    sizes = [f"{chosen.core_num} {'core' if chosen.core_num == 1 else 'cores'}"]
    if chosen.executor_memory < spec.executor_memory:
        sizes.append(f"{chosen.executor_memory} MiB an executor")
    if chosen.driver_memory < spec.driver_memory:
        sizes.append(f"{chosen.driver_memory} MiB for the driver")
    cost, paid = (format_credits(ucr)[: -places or None] for ucr in (best.ucr, paid_ucr))
    lasts_s, lasted_s = (round(ms / 1000) for ms in (best.lasts_ms, used[DRIVER]["ms"][0]))
    busy, held = used["work"]["busy_core_s"], used[EXECUTOR]["held_core_s"]
    return (
        f"With {', '.join(sizes)}: about {cost} instead of {paid} credits, in about {lasts_s} s instead of"
        f" {lasted_s} s, at this job's rate. Tasks filled {busy:g} of the executors' {held:g} core seconds."
    )
