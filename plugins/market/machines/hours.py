"""Hours of the day for which a machine is lent, as `22:00-06:00` in a time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_SHORTEST_MIN = 30


def parse(hours: str) -> tuple[int, int]:
    """Return the minutes of the day at which the hours begin and end. Raises ValueError, with the remedy."""
    match = _HOURS.fullmatch(hours)
    if match is None:
        raise ValueError("write hours of the day as 22:00-06:00")
    first_hour, first_minute, last_hour, last_minute = map(int, match.groups())
    begin, end = first_hour * 60 + first_minute, last_hour * 60 + last_minute
    if (end - begin) % 1440 < _SHORTEST_MIN:
        raise ValueError(f"hours must last at least {_SHORTEST_MIN} minutes")
    return begin, end


def zone(name: str) -> ZoneInfo:
    """Return a time zone. Raises ValueError if there is none of this name."""
    try:
        return _zone(name)
    except (KeyError, ValueError, OSError):  # unknown, a path, a folder of the zone files
        raise ValueError("is no time zone, as Europe/Berlin") from None


def within(hours: str, time_zone: str, at_ms: int) -> bool:
    """Tell whether a time (epoch ms) lies within the hours; without hours every time does."""
    if not hours:
        return True
    begin, end = _parsed(hours)
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(_zone(time_zone))
    return (local.hour * 60 + local.minute - begin) % 1440 < (end - begin) % 1440


_zone = lru_cache(maxsize=512)(ZoneInfo)
_parsed = lru_cache(maxsize=2048)(parse)
