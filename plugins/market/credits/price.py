"""The rate: what it is now, what a core and a GiB cost at it, and how it came about."""

from __future__ import annotations

from typing import Any

from market.kit import database, settings
from market.kit.database import Cursor
from market.kit.money import UCR_PER_CREDIT, format_credits
from market.kit.paging import Listing, Page

ORDER_BY = ("at", "rate")
_COLUMNS = {"": "until_ms", "at": "until_ms", "rate": "rate_micro"}


def current_rate_micro(cursor: Cursor) -> int:
    """Return the rate that holds now, times 10^6: the last interval's, or the initial one before any."""
    return _latest(cursor)[0]


def current() -> dict[str, Any]:
    """Return `rate`, since when it holds (`at`, None: from the start), and what an hour costs by type."""
    credits, types = settings.load().credits, settings.load().types
    with database.transaction() as cursor:
        rate, at_ms = _latest(cursor)
    gib_hour = format_credits(rate * credits.micro("gib_weight") // UCR_PER_CREDIT)
    return {
        "rate": format_credits(rate),
        "at": at_ms,
        "types": {
            name: {
                "weight": format_credits(machine_type.weight_micro),
                "core_hour": format_credits(rate * machine_type.weight_micro // UCR_PER_CREDIT),
                "gib_hour": gib_hour,
            }
            for name, machine_type in types.items()
        },
    }


def history(page: Page) -> Listing[dict[str, Any]]:
    """Return a page of the rates that intervals set, newest first unless it says otherwise: `at`, `rate`."""
    direction = "DESC" if page.descending else "ASC"
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT until_ms, rate_micro, count(*) OVER () AS total"  # noqa: S608
            " FROM rate_tick JOIN settlement USING (interval_id)"
            f" ORDER BY {_COLUMNS[page.order_by]} {direction}, interval_id {direction} LIMIT %s OFFSET %s",
            [page.limit, page.offset],
        )
        rows = cursor.fetchall()
        total = rows[0].total if rows else _count(cursor)
    rates = [{"at": row.until_ms, "rate": format_credits(row.rate_micro)} for row in rows]
    return Listing(rows=rates, total=total)


def _count(cursor: Cursor) -> int:
    cursor.execute("SELECT count(*) AS total FROM rate_tick")
    return int(cursor.fetchone().total)


def _latest(cursor: Cursor) -> tuple[int, int | None]:
    cursor.execute(
        "SELECT rate_micro, until_ms FROM rate_tick JOIN settlement USING (interval_id)"
        " ORDER BY interval_id DESC LIMIT 1"
    )
    row = cursor.fetchone()
    if row is not None:
        return row.rate_micro, row.until_ms
    credits = settings.load().credits
    lowest, highest = credits.micro("rate_min"), credits.micro("rate_max")
    return min(highest, max(lowest, credits.micro("initial_rate"))), None
