"""Figures, times and texts as people read them. Nothing from elsewhere reaches a terminal unchecked."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# What a terminal would obey, but for line ends, tabs and the colours of a program.
_COMMANDS = re.compile(
    r"(\x1b\[[0-9;]*m)"
    r"|\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)?"
    r"|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]"
)


def short(identity: str) -> str:
    """Return the end of an id, by which people tell things apart: its beginning is the time it was made."""
    return identity[-8:]


def clean(text: object) -> str:
    """Return a text on one line, without characters that a terminal would obey."""
    return _CONTROL.sub(" ", str(text))


def printed(text: str) -> str:
    """Return what a program has printed, with its colours and without all else that a terminal would obey."""
    return _COMMANDS.sub(lambda match: match.group(1) or "", text)


def credits(amount: str | None) -> str:
    """Return credits without the zeros that say nothing: `14.250000` as 14.25."""
    if not amount:
        return "-"
    whole, _, places = amount.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def duration(seconds: float | None) -> str:
    """Return a time span in words."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole >= 2 * _DAY:
        return f"{whole // _DAY} days"
    if whole >= _HOUR:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _MINUTE} min {whole % _MINUTE} s" if whole >= _MINUTE else f"{whole} s"


def of_ms(milliseconds: int | None) -> str:
    """Return a duration in milliseconds in words."""
    return duration(None if milliseconds is None else milliseconds / 1000)


def at(milliseconds: int | None) -> str:
    """Return a time in the zone of this host."""
    if milliseconds is None:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(milliseconds / 1000))


def size(count: int | None) -> str:
    """Return a number of bytes."""
    if count is None:
        return "-"
    for unit, bytes_each in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= bytes_each:
            return f"{count / bytes_each:.1f} {unit}"
    return f"{count} B"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which gets an s where it is not one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def used(found: Any) -> list[tuple[str, str]]:
    """Return what an ended job really used, as names and values; nothing while it is not known."""
    if not found:
        return []
    pairs = [(f"{role} used", _of_role(found[role])) for role in ("driver", "executors") if found.get(role)]
    return [*pairs, ("advice", (found.get("advice") or {}).get("sentence", ""))]


def _of_role(role: Mapping[str, Any]) -> str:
    if role["cpu_s"] is None:
        return ""
    words = f"{duration(role['cpu_s'])} of processor in {duration(role['held_core_s'])} of core time,"
    words += f" at most {role['peak_memory_mib']} of {role['memory_mib']} MiB"
    untold = role["not_measured"]
    return f"{words}; of {counted(untold, 'container')} nothing is known" if untold else words
