"""Figures and times as people read them: the filters of the templates."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal

from markupsafe import Markup, escape

from market.kit.vocabulary import ENDED, JOB_STATUSES

MIN_PLACES = 2
SHOWN_PLACES = 4
PLACES = 6

# The colour family of each status of a job, a point or a machine; what is not here has none.
TONES = {
    "succeeded": "good",
    "active": "good",
    "running": "busy",
    "accepted": "busy",
    "queued": "calm",
    "waiting": "calm",
    "submitted": "calm",
    "offered": "calm",
    "joining": "busy",
    "resting": "calm",
    "cancelling": "warn",
    "draining": "warn",
    "failed": "bad",
    "lost": "bad",
    "rejected": "bad",
}


def tone(status: str) -> str:
    """Return the colour family of a status; its word always stands beside it."""
    return TONES.get(status, "none")


def status_word(status: str) -> str:
    """Return a status as a word."""
    return status.replace("_", " ").capitalize()


def statuses_of_jobs() -> dict[str, dict[str, object]]:
    """Return what a page's program needs to know of each status of a job."""
    return {
        status: {"word": status_word(status), "tone": tone(status), "ended": status in ENDED}
        for status in JOB_STATUSES
    }


def decimals(value: object) -> int:
    """Return how many places a figure is shown with, from 2 to 4; to 6 if nothing were left of it."""
    return max(MIN_PLACES, len(_rounded(value).rpartition(".")[2].rstrip("0")))


def places(values: Iterable[object]) -> int:
    """Return how many places a column of figures needs, so that its decimal points stand in one line."""
    return max((decimals(value) for value in values if value not in (None, "")), default=MIN_PLACES)


def credits_text(value: object, shown: int = 0) -> str:
    """Return credits with two to four places and a true minus sign: `14.250000` -> `14.25`."""
    if value in (None, ""):
        return "–"  # noqa: RUF001 - an en dash: no figure
    whole, _, part = _rounded(value).partition(".")
    kept = part[: max(shown, decimals(value))]
    return f"{whole}.{kept}".replace("-", "\u2212")


def money(value: object, shown: int = 0, signed: bool = False) -> Markup:
    """Return credits for a column of `shown` places; the exact figure is the title.

    Places that this figure does not need are there but not visible, so the points of a column stay in line.
    `signed` writes a plus before what is more than nothing.
    """
    if value in (None, ""):
        return Markup('<span class="money none">–</span>')  # noqa: RUF001
    text = credits_text(value)
    if signed and Decimal(str(value)) > 0:
        text = f"+{text}"
    padding = "0" * (shown - decimals(value))
    pad = Markup('<span class="pad" aria-hidden="true">{}</span>').format(padding) if padding else ""
    sign = " negative" if text.startswith("\u2212") else ""
    return Markup('<span class="money{}" title="{}">{}{}</span>').format(sign, _fixed(value), text, pad)


def _rounded(value: object) -> str:
    """Return a figure to four places; one that would be nothing then, to six."""
    amount = Decimal(str(value))
    rounded = amount.quantize(Decimal(1).scaleb(-SHOWN_PLACES), ROUND_HALF_UP)
    return f"{rounded:f}" if rounded else _fixed(amount)


def _fixed(value: object) -> str:
    return f"{Decimal(str(value)):.{PLACES}f}"


def duration(milliseconds: object) -> str:
    """Return a time span: `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`."""
    if milliseconds is None:
        return "–"  # noqa: RUF001
    span = round(float(str(milliseconds)))
    if span < 1000:
        return f"{span} ms"
    seconds = round(span / 1000)
    for size, unit, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // below
            return f"{seconds // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{seconds} s"


def mib(amount: object) -> str:
    """Return MiB as people read memory: `512 MiB`, `1.5 GiB`."""
    if amount is None:
        return "–"  # noqa: RUF001
    value = int(str(amount))
    if value < 1024:
        return f"{value} MiB"
    return f"{value / 1024:.1f}".removesuffix(".0") + " GiB"


def size(amount: object) -> str:
    """Return bytes as people read a file's size."""
    if amount is None:
        return "–"  # noqa: RUF001
    value, units = float(str(amount)), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.1f}".removesuffix(".0") + f" {units[0]}"


def moment(milliseconds: object) -> Markup:
    """Return a time element in UTC; the browser rewrites it to the time zone chosen in Airflow."""
    if not milliseconds:
        return Markup('<span class="none">–</span>')  # noqa: RUF001
    at = datetime.datetime.fromtimestamp(int(str(milliseconds)) / 1000, datetime.UTC)
    return Markup('<time datetime="{}" data-ms="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), milliseconds, f"{at:%d %b %Y, %H:%M} UTC"
    )


def day(milliseconds: object) -> str:
    """Return a day in UTC: `30 Nov 2026`; the browser leaves it as it is."""
    at = datetime.datetime.fromtimestamp(int(str(milliseconds)) / 1000, datetime.UTC)
    return f"{at:%d %b %Y}"


def share(part: object, whole: object) -> float:
    """Return part of whole as a percentage, 0 to 100; 0 of an empty whole."""
    total = float(str(whole or 0))
    return 0.0 if total <= 0 else round(min(100.0, max(0.0, 100 * float(str(part or 0)) / total)), 2)


def json_value(value: str | int | float | bool) -> str:
    """Return a plain value as it stands in JSON; a long figure to six digits, a text without quotes."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


def badge(status: str) -> Markup:
    """Return a status as a coloured label."""
    return Markup('<span class="badge {}" data-status="{}">{}</span>').format(
        tone(status), escape(status), status_word(status)
    )


FILTERS: dict[str, Callable[..., object]] = {
    "credits": credits_text,
    "money": money,
    "places": places,
    "duration": duration,
    "mib": mib,
    "size": size,
    "moment": moment,
    "day": day,
    "badge": badge,
    "status_word": status_word,
    "json_value": json_value,
    "tone": tone,
}
