"""How much memory services hold, and how fast that grows."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

_MIB = 1 << 20
_HOUR_S = 3600.0
_LEAST_SAMPLES = 5
_MOST_SAMPLES = 200  # pairs of more would say the same, and take long


@dataclass(frozen=True)
class Sample:
    """Memory at a time: `rss` of all processes together counts shared pages in each, `pss` once (bytes)."""

    at_s: float
    rss: int
    pss: int


@dataclass(frozen=True)
class Growth:
    """How a service's memory went: PSS in MiB at the end, and by how much it grows in an hour."""

    now_mib: float
    mib_per_hour: float
    percent_per_hour: float
    samples: int


@dataclass
class Series:
    """The samples of one process and its children, since it was started."""

    pid: int
    samples: list[Sample] = field(default_factory=list)

    def growth(self, since_s: float) -> Growth | None:
        """Return the growth since a time; None where there are too few samples to tell.

        It is the median of the slopes between all pairs of samples (Theil and Sen): a worker that is there
        while a task runs moves a mean, and a line of least squares, and not this.
        """
        samples = _thinned([one for one in self.samples if one.at_s >= since_s])
        if len(samples) < _LEAST_SAMPLES:
            return None
        slopes = [(b.pss - a.pss) / (b.at_s - a.at_s) for a, b in combinations(samples, 2) if b.at_s > a.at_s]
        slope = statistics.median(slopes) * _HOUR_S
        middle = statistics.median(one.pss for one in samples)
        return Growth(samples[-1].pss / _MIB, slope / _MIB, 100 * slope / middle, len(samples))


def _thinned(samples: Sequence[Sample]) -> Sequence[Sample]:
    step = -(-len(samples) // _MOST_SAMPLES) or 1
    return samples[::step]


class Meter:
    """Takes samples of services, by the ids of their processes."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self.series: dict[str, Series] = {}
        self.restarted: dict[str, int] = {}

    def sample(self, at_s: float, pids: Mapping[str, int]) -> None:
        """Measure each service with all processes below its own; one that was started anew begins anew."""
        children = self._children()
        for name, pid in pids.items():
            known = self.series.get(name)
            if known is None or known.pid != pid:
                if known is not None:
                    self.restarted[name] = self.restarted.get(name, 0) + 1
                known = self.series[name] = Series(pid)
            held = [self._held(one) for one in _below(pid, children)]
            rss, pss = (sum(part) for part in zip(*held, strict=True)) if held else (0, 0)
            if pss:
                known.samples.append(Sample(at_s, rss, pss))

    def _children(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for entry in self._proc.iterdir():
            if entry.name.isdigit():
                try:
                    parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                except OSError:  # it ended meanwhile
                    continue
                found.setdefault(parent, []).append(int(entry.name))
        return found

    def _held(self, pid: int) -> tuple[int, int]:
        """Return RSS and PSS of a process in bytes; nothing of one that has ended, or is another user's."""
        try:
            lines = (self._proc / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            return 0, 0
        kib = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith(("Rss:", "Pss:"))}
        return kib.get("Rss:", 0) << 10, kib.get("Pss:", 0) << 10


def _below(pid: int, children: Mapping[int, Sequence[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _below(child, children)
