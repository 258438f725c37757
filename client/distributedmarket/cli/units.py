"""Figures of the market in the words of the options: memory as 1g, time as 2h."""

from __future__ import annotations

import re
from collections.abc import Callable

_NUMBER = re.compile(r"(?<![\w.])(\d+)(?!\.?\d)(?!\w)(?: MiB\b| s\b| seconds\b)?")
_SPANS = (("d", 86400), ("h", 3600), ("m", 60))
_PARTS_OF_A_GIB = 4  # 1.25g can be read at once, 1.2197g cannot


def memory(mib: int) -> str:
    """Return MiB as `--memory` takes them."""
    in_gib = mib >= 1024 and mib * _PARTS_OF_A_GIB % 1024 == 0
    return f"{mib / 1024:.8g}g" if in_gib else f"{mib}m"


def span(seconds: int) -> str:
    """Return seconds as `--max-duration` takes them."""
    unit, each = next((one for one in _SPANS if seconds and seconds % one[1] == 0), ("s", 1))
    return f"{seconds // each}{unit}"


def hours(seconds: int) -> str:
    """Return seconds as `--hours` takes them."""
    return f"{seconds / 3600:.3g}" if seconds % 3600 else f"{seconds // 3600}"


_OF_FIELDS: dict[str, Callable[[int], str]] = {
    "memory_size": memory,
    "executor_memory": memory,
    "driver_memory": memory,
    "max_duration": span,
    "max_wait": span,
    "lifetime_s": span,
    "time_period": hours,
}


def in_words_of_options(field: str, message: str) -> str:
    """Return what the market says of a field, with its numbers as the field's option takes them."""
    written = _OF_FIELDS.get(field)
    return _NUMBER.sub(lambda found: written(int(found.group(1))), message) if written else message
