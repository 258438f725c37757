"""Steps of the clock, found by comparing it with the time since the host's start, which nobody sets.

Times are stored by the clock. Who asks how much time has passed since one asks `Steps.passed_ms`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from market.kit import alerts, database
from market.kit.clock import now_ms

log = logging.getLogger(__name__)

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STEP_MS = 5_000  # what NTP corrects without a step stays far below, between two looks
_DRIFT_MS = 500
_KEPT_MS = 60 * 86_400_000  # nothing that is open is older
_MOST = 1_000

_seen: tuple[str, int] | None = None  # what is stored, as far as this process knows


@dataclass(frozen=True)
class Step:
    """The clock was set by `by_ms`, forward or (negative) back, and said `at_ms` then."""

    at_ms: int
    by_ms: int


@dataclass(frozen=True)
class Steps:
    """The steps of the last two months."""

    steps: Sequence[Step] = ()

    def passed_ms(self, since_ms: int, until_ms: int) -> int:
        """Return how much time has passed between two times of the clock."""
        stepped_ms = sum(step.by_ms for step in self.steps if _is_between(since_ms, step, until_ms))
        return max(0, until_ms - since_ms - stepped_ms)


def _is_between(since_ms: int, step: Step, until_ms: int) -> bool:
    # A step is found some seconds late, and nothing can have been stored within a jump.
    jumped_ms = max(0, step.by_ms) // 2
    return since_ms < step.at_ms - jumped_ms and step.at_ms - jumped_ms <= until_ms


def look() -> Steps:
    """Return the steps; one that is found is stored, and raises an alert."""
    global _seen
    now = (_boot(), _offset_ms())
    with database.transaction() as cursor:
        if _seen is None or _seen[0] != now[0] or abs(_seen[1] - now[1]) >= _DRIFT_MS:
            _note(cursor, *now)
            _seen = now
        cursor.execute(
            "SELECT at_ms, by_ms FROM clock_step WHERE at_ms > %s ORDER BY at_ms DESC LIMIT %s",
            [now_ms() - _KEPT_MS, _MOST],
        )
        return Steps([Step(*row) for row in cursor.fetchall()])


def _note(cursor: database.Cursor, boot: str, offset_ms: int) -> None:
    # The row's lock orders those who see the same step: the second one finds the new offset.
    cursor.execute(
        "INSERT INTO clock_offset (boot, offset_ms) VALUES (%s, %s) ON CONFLICT DO NOTHING", [boot, offset_ms]
    )
    cursor.execute("SELECT offset_ms FROM clock_offset WHERE boot = %s FOR UPDATE", [boot])
    by_ms = offset_ms - cursor.fetchone().offset_ms
    cursor.execute("UPDATE clock_offset SET offset_ms = %s WHERE boot = %s", [offset_ms, boot])
    if abs(by_ms) < _STEP_MS:
        return
    at_ms = now_ms()
    cursor.execute(
        "INSERT INTO clock_step (at_ms, by_ms) VALUES (%s, %s) ON CONFLICT DO NOTHING", [at_ms, by_ms]
    )
    way = "forward" if by_ms > 0 else "back"
    stepped = f"The market's clock stepped {way} by {abs(by_ms) // 1000} s."
    detail = f"{stepped} The time limits of jobs leave that out."
    log.warning(detail)
    alerts.raise_alert(cursor, alerts.CLOCK_STEPPED, str(at_ms), detail)


def _boot() -> str:
    return _BOOT.read_text().strip()


def _offset_ms() -> int:
    return (time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) // 1_000_000
