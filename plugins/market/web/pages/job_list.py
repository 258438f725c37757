"""Lists of jobs on pages: which ones an address asks for and in what order, and the same as CSV."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from market.jobs import store
from market.jobs.store import Wanted
from market.kit import table
from market.kit.paging import Page
from market.kit.text import storable
from market.kit.vocabulary import ENDED, OPEN
from market.people.member import Member

FILTERS = {
    "all": ("All", ()),
    "open": ("Open", OPEN),
    "ended": ("Ended", ENDED),
    "succeeded": ("Succeeded", ("succeeded",)),
    "failed": ("Failed", ("failed", "lost")),
    "cancelled": ("Cancelled", ("cancelled",)),
}
_NEWEST = "-added_time"
_WORDS = ("job_name", "status", "machine_type")
_LONGEST = 100
_CSV_STEP = 200
_CSV_MOST = 20_000  # rows of one file: what is older is asked for by date
_CSV = (
    "job_id", "job_name", "root_path", "entry_file", "status", "reason_code", "machine_type", "core_num",
    "added_time", "start_time", "end_time", "duration", "cost", "cost_final", "hold", "job_note",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What a list shows: one of FILTERS, further conditions, and the order as in `order_by` of the routes."""

    status: str
    machine_type: str
    search: str
    since: str  # a day as 2026-11-30, UTC; or empty
    until: str  # likewise, that day included
    hidden: bool
    order_by: str

    @property
    def wanted(self) -> Wanted:
        """The same as the store reads it."""
        until = _day_ms(self.until)
        return Wanted(
            statuses=FILTERS[self.status][1],
            machine_type=self.machine_type,
            search=self.search,
            since_ms=_day_ms(self.since),
            before_ms=None if until is None else until + 86_400_000,
            hidden=self.hidden,
        )

    @property
    def narrow(self) -> bool:
        """Whether a condition may leave jobs out."""
        return self.wanted != store.EVERY

    @property
    def kept(self) -> dict[str, str]:
        """What an address has to say for the same list; what is as it is without, it leaves out."""
        said = {
            "status": self.status,
            "type": self.machine_type,
            "q": self.search,
            "since": self.since,
            "until": self.until,
            "hidden": "1" if self.hidden else "",
            "order_by": "" if self.order_by == _NEWEST else self.order_by,
        }
        return {name: text for name, text in said.items() if text}

    def page(self, limit: int, offset: int) -> Page:
        """Return the rows of one page, in this order."""
        field = self.order_by.removeprefix("-")
        return Page(limit, offset, field, self.order_by.startswith("-"))

    def but(self, **other: str) -> dict[str, str]:
        """Return what an address says for this list with something else."""
        return {name: text for name, text in (self.kept | other).items() if text}

    def turned(self, field: str) -> str:
        """Return the order after a click on a column's head: words from A on, figures from the most on."""
        first, second = (field, f"-{field}") if field in _WORDS else (f"-{field}", field)
        return second if self.order_by == first else first

    def direction(self, field: str) -> str:
        """Return how a column is sorted, in the words of `aria-sort`."""
        way = {field: "ascending", f"-{field}": "descending"}
        return way.get(self.order_by, "none")


def asked(query: Mapping[str, str], status: str = "all") -> Asked:
    """Return what an address asks for; what is not known there counts as not said. `status`: by default."""
    order = query.get("order_by", _NEWEST)
    return Asked(
        status=_known(query.get("status", status), status),
        machine_type=_text(query, "type"),
        search=_text(query, "q"),
        since=_day(query.get("since", "")),
        until=_day(query.get("until", "")),
        hidden=query.get("hidden", "") == "1",
        order_by=order if order.removeprefix("-") in store.ORDER_BY else _NEWEST,
    )


def as_csv(member: Member, asked: Asked) -> str:
    """Return a member's jobs as comma-separated values, not more than 20 000; times are epoch ms."""
    rows: list[list[table.Cell]] = []
    while len(rows) < _CSV_MOST:
        listing = store.list_jobs(member, asked.page(_CSV_STEP, len(rows)), asked.wanted)
        shown = store.all_to_wire(listing.rows)
        rows += [["" if job.get(name) is None else job[name] for name in _CSV] for job in shown]
        if len(shown) < _CSV_STEP:
            break
    return table.as_csv(_CSV, rows)


def _known(status: str, default: str) -> str:
    return status if status in FILTERS else default


def _text(query: Mapping[str, str], name: str) -> str:
    return storable(query.get(name, "").strip()[:_LONGEST])


def _day(text: str) -> str:
    """Return a day as a field of a form has it, nothing for what is none."""
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        return ""


def _day_ms(day: str) -> int | None:
    """Return when a day begins in UTC."""
    if not day:
        return None
    return int(datetime.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() * 1000)
