"""The page Market: what the pool has, what it costs, and what a job would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from flask import Response, jsonify, request
from flask_appbuilder import expose

from market.airflow import menu
from market.credits import price, tariff
from market.hadoop import allocation
from market.jobs import grid
from market.kit import clock, database, settings, whole
from market.kit.errors import BadInputError
from market.kit.money import format_credits
from market.kit.paging import Page
from market.machines import registry
from market.people.member import Member
from market.web.pages import charts
from market.web.pages.base import MarketPage, page, part
from market.web.pages.job_form import grid_of
from market.web.pages.text import credits_text, mib, share

_RANGES = {"6h": ("6 hours", 6), "24h": ("24 hours", 24), "7d": ("7 days", 168)}
_POOL_ROWS = 50
_TICKS = 2500  # a week of intervals of five minutes


class MarketView(MarketPage):
    """Capacity by machine type, the rate and its history, and a calculator."""

    route_base = "/market"
    class_permission_name = menu.MARKET
    default_view = "overview"
    entry = "Market"

    @expose("/")
    @page("read")
    def overview(self, member: Member) -> Response:
        """Show the market as it is now."""
        chosen = request.args.get("range", "24h")
        chosen = chosen if chosen in _RANGES else "24h"
        return self.show(
            "overview.html",
            member,
            price=price.current(),
            capacity=part(
                lambda: [type_line(name, line) for name, line in registry.metadata()["machine_info"].items()]
            ),
            machines=part(registry.list_market, Page(limit=_POOL_ROWS)),
            chart=_rate_chart(chosen),
            ranges=_RANGES,
            chosen=chosen,
            tariff=settings.load(),
        )

    @expose("/quote")
    @page("read")
    def quote(self, member: Member) -> Response:
        """Answer the calculator: what a job of this size costs, as JSON; nothing is written."""
        try:
            return jsonify(job_quote(request.args))
        except BadInputError as error:
            answer = jsonify({"detail": error.detail, "errors": error.errors})
            answer.status_code = error.status
            return answer


def type_line(name: str, line: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table says of a machine type."""
    return {
        **line,
        "name": name,
        "cores_used_percent": share(line["cores_used"], line["cores"]),
        "memory_used_percent": share(line["memory_used"], line["memory"]),
    }


def _sizes(containers: Sequence[tuple[int, int]], points: int, at_once: int) -> str:
    """Return in words what is quoted: each container as YARN gives it, which is more than a heap."""

    def size(vcores: int, memory_mib: int) -> str:
        return f"{vcores} {'core' if vcores == 1 else 'cores'} and {mib(memory_mib)}"

    driver, executors = containers[0], containers[1:]
    each = "executor" if len(executors) == 1 else f"{len(executors)} executors,"
    words = f"Driver {size(*driver)}; {each} {size(*executors[0])}{'' if len(executors) == 1 else ' each'}"
    return words if points == 1 else f"{words}; so for {points} points, {at_once} at once"


def job_quote(form: Mapping[str, str]) -> dict[str, str]:
    """Return the quote for `type, cores, executor_cores, driver_memory, executor_memory (MiB), minutes`.

    With a `grid` (lines of the form) for all its points, `max_parallel` of them at once.

    Raises BadInputError for a figure that is no number or beyond the market's limits.
    """
    loaded = settings.load()
    limits, errors = loaded.jobs, dict[str, object]()
    points, at_once = 1, 1

    def number(field: str, default: int, highest: int) -> int:
        text = (form.get(field) or str(default)).strip()
        if (given := whole.parsed(text, highest, lowest=1)) is not None:
            return given
        errors[field] = f"must be a whole number from 1 to {highest}"
        return default

    machine_type = form.get("type") or next(iter(loaded.types))
    if machine_type not in loaded.types:
        errors["type"] = f"there is no such machine type; there are: {', '.join(loaded.types)}"
    cores = number("cores", 2, limits.max_cores)
    per_executor = number("executor_cores", 1, limits.max_cores)
    driver = number("driver_memory", limits.driver_memory_mib, allocation.most_heap_mib())
    executor = number("executor_memory", limits.executor_memory_mib, allocation.most_heap_mib())
    minutes = number("minutes", limits.max_duration_s // 60, 60 * 24 * 365)
    if not errors and cores % per_executor:
        errors["executor_cores"] = f"must divide the {cores} cores evenly"
    if sweep := grid_of(form.get("grid", ""), errors):
        points = grid.size(sweep)
        if not 0 < points <= limits.max_points:
            errors["grid"] = f"must have from 1 to {limits.max_points} points"
        at_once = min(points, number("max_parallel", 2, limits.max_points))
    if errors:
        raise BadInputError(errors)
    containers = allocation.containers(driver, executor, per_executor, cores // per_executor)
    with database.transaction() as cursor:
        rate = price.current_rate_micro(cursor)
    duration_s = Fraction(minutes * 60 * points, at_once)
    quote = tariff.quote(machine_type, containers * at_once, duration_s, None, rate)
    return {
        "rate": credits_text(format_credits(quote.rate_micro)),
        "credits_per_hour": format_credits(quote.credits_per_hour_ucr),
        "hold": format_credits(quote.hold_ucr),
        "containers": str(len(containers) * at_once),
        "sizes": _sizes(containers, points, at_once),
        "memory": str(sum(memory for _, memory in containers) * at_once),
    }


def _rate_chart(chosen: str) -> charts.Chart | None:
    words, hours = _RANGES[chosen]
    now_ms = clock.now_ms()
    rows = price.history(Page(limit=min(_TICKS, hours * 15))).rows
    samples = sorted((int(row["at"]), float(row["rate"])) for row in rows)
    since = now_ms - hours * 3_600_000
    before = [figure for at, figure in samples if at < since][-1:]
    shown = [(since, figure) for figure in before] + [sample for sample in samples if sample[0] >= since]
    return charts.steps(
        f"The rate in the last {words}", shown, now_ms, lambda figure: f"{figure:.3f}", width=charts.NARROW
    )
