"""One line that lives in a terminal; elsewhere a line for each change."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.status import Status

from distributedmarket.agent.agent import Glance
from distributedmarket.runtime import terminal

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


class LiveLine:
    """Shows how a machine is."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._status: Status | None = None
        self._last: tuple[object, ...] = ()

    def show(self, glance: Glance) -> None:
        """Show how the machine is now."""
        text = live_line(glance)
        if self._console.is_terminal:
            if self._status is None:
                self._status = self._console.status(text)
                self._status.start()
            self._status.update(text)
            return
        pulse = glance.pulse
        state = (pulse.availability, pulse.reason) if pulse else ()
        now = (*state, glance.containers, glance.note)
        if now != self._last:
            self._last = now
            self.say(text)

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False)
        sys.stdout.flush()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._status is not None:
            self._status.stop()


def live_line(glance: Glance) -> str:
    """Return the machine's state, use, remaining time and earnings in one line."""
    pulse = glance.pulse
    if pulse is None:
        return ", ".join(part for part in ("registering", glance.note) if part)
    parts = [f"{pulse.availability} ({pulse.reason})" if pulse.reason else pulse.availability]
    parts.append(f"{glance.containers} containers")
    parts.append(f"{glance.cores} of {pulse.core_count} cores")
    parts.append(f"{terminal.size(glance.memory_mib)} of {terminal.size(pulse.memory_size)}")
    parts.append(f"{_duration(pulse.remaining_s)} left")
    parts.append(f"earned {pulse.earned}")
    if glance.note:
        parts.append(glance.note)
    return ", ".join(parts)


def _duration(seconds: int) -> str:
    if seconds >= 2 * _DAY:
        return f"{seconds // _DAY} days"
    if seconds >= _HOUR:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE} min"
    return f"{seconds // _MINUTE} min" if seconds >= _MINUTE else f"{seconds} s"
