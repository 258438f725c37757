"""Line charts as SVG, drawn on the server: they need no script, and nothing from elsewhere."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HEIGHT = 220
NARROW, WIDE = 640, 1040  # as wide as the card it stands in, so that its words keep their size
LISTED = 200  # changes in the table behind a drawing, the newest
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 14, 30
_STEPS = (1, 2, 2.5, 5, 10)
_TIME_STEPS_S = (60, 300, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000)


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis, in the units of the drawing."""

    at: float
    label: str
    ms: int = 0  # on the axis of time; the browser writes it in the chosen time zone
    day: bool = False


@dataclass(frozen=True)
class Chart:
    """What the template draws; `points` is JSON of [x, y, epoch ms, figure] for the pointer's read-out."""

    width: int
    title: str
    summary: str
    line: str
    area: str
    columns: Sequence[Tick]
    rows: Sequence[Tick]
    last: tuple[float, float]
    points: str
    since_ms: int
    values: Sequence[
        tuple[int, str]
    ]  # (epoch ms, figure) of the changes, newest first, for a table behind it


def steps(
    title: str,
    samples: Sequence[tuple[int, float]],
    until_ms: int,
    write: Callable[[float], str],
    marks: Sequence[float] = (),
    width: int = WIDE,
) -> Chart | None:
    """Draw a figure that holds its value until the next sample, as a rate or a balance does.

    `samples` are (epoch ms, figure), oldest first; `marks` are figures that the axis must reach.
    None if there is nothing to draw.
    """
    if not samples:
        return None
    first_ms, last_ms = samples[0][0], max(until_ms, samples[-1][0])
    if last_ms - first_ms < 60_000:
        first_ms = last_ms - 60_000
    figures = [figure for _, figure in samples]
    low, high, step = _scale(min(*figures, *marks, figures[0]), max(*figures, *marks, figures[0]))

    def x(at_ms: int) -> float:
        return round(
            LEFT + (width - LEFT - RIGHT) * (max(at_ms, first_ms) - first_ms) / (last_ms - first_ms), 1
        )

    def y(figure: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - figure) / (high - low), 1)

    line = [f"M{x(samples[0][0])} {y(figures[0])}"]
    for (at_ms, figure), before in zip(samples[1:], figures, strict=False):
        line.append(f"H{x(at_ms)}" + (f"V{y(figure)}" if figure != before else ""))
    line.append(f"H{x(last_ms)}")
    # An area is read from zero on: where the axis begins elsewhere it would say too much.
    area = "".join(line) + f"V{y(0)}H{x(samples[0][0])}Z" if low <= 0 <= high else ""
    count = round((high - low) / step)
    return Chart(
        width=width,
        title=title,
        summary=_summary(samples, write),
        line="".join(line),
        area=area,
        columns=_time_ticks(first_ms, last_ms, x),
        rows=[Tick(y(low + step * n), write(low + step * n)) for n in range(count + 1)],
        last=(x(last_ms), y(figures[-1])),
        points=json.dumps([[x(at), y(figure), at, write(figure)] for at, figure in samples]),
        since_ms=samples[0][0],
        values=_changes(samples, write)[: -LISTED - 1 : -1],
    )


def _changes(samples: Sequence[tuple[int, float]], write: Callable[[float], str]) -> list[tuple[int, str]]:
    """Return from when on it was which figure, oldest first; what is written alike is one line."""
    changes: list[tuple[int, str]] = []
    for at_ms, figure in samples:
        written = write(figure)
        if not changes or changes[-1][1] != written:
            changes.append((at_ms, written))
    return changes


def _summary(samples: Sequence[tuple[int, float]], write: Callable[[float], str]) -> str:
    figures = [figure for _, figure in samples]
    return f"lowest {write(min(figures))}, highest {write(max(figures))}, now {write(figures[-1])}"


def _scale(low: float, high: float, wanted: int = 4) -> tuple[float, float, float]:
    """Return round bounds and the round step between grid lines."""
    if high - low < 1e-9:
        spread = abs(high) * 0.25 or 1.0
        low, high = low - spread, high + spread
        if low < 0 <= high - spread:
            low = 0.0
    raw = (high - low) / wanted
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in _STEPS if factor * power >= raw * 0.999999)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step


def _time_ticks(first_ms: int, last_ms: int, x: Callable[[int], float], wanted: int = 6) -> list[Tick]:
    """Return round times, but none so near to the end that its label would be cut."""
    span_s = (last_ms - first_ms) / 1000
    step_s = next((step for step in _TIME_STEPS_S if span_s / step <= wanted), _TIME_STEPS_S[-1])
    ticks = []
    at_s = math.ceil(first_ms / 1000 / step_s) * step_s
    while at_s * 1000 <= last_ms - span_s * 30:
        at = _utc(at_s * 1000)
        day = at_s % 86400 == 0
        ticks.append(
            Tick(x(at_s * 1000), f"{at:%d %b}" if day else f"{at:%H:%M}", at_s * 1000, step_s >= 86400)
        )
        at_s += step_s
    return ticks


def _utc(at_ms: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
