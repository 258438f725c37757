"""A clock that a test sets; the time since the host's start goes on."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from market.kit import clock, clock_steps


@dataclass
class Clock:
    """By how much it was set."""

    monkeypatch: pytest.MonkeyPatch
    ahead_ms: int = 0

    def forward(self, ms: int) -> None:
        self.ahead_ms += ms

    def in_another_process(self, boot: str | None = None) -> None:
        """Go on as a process that knows of nothing yet."""
        self.monkeypatch.setattr(clock_steps, "_seen", None)
        if boot is not None:
            self.monkeypatch.setattr(clock_steps, "_boot", lambda: boot)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made, true, offset = Clock(monkeypatch), clock.now_ms, clock_steps._offset_ms
    monkeypatch.setattr(clock_steps, "now_ms", lambda: true() + made.ahead_ms)
    monkeypatch.setattr(clock_steps, "_offset_ms", lambda: offset() + made.ahead_ms)
    made.in_another_process()
    return made
