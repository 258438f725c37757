"""The page My machines: how to lend one, what is lent, and what each has earned."""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import urlsplit

from flask import Response, request
from flask_appbuilder import expose

from market.airflow import menu
from market.credits import price
from market.kit import clock, settings, tls, whole
from market.kit.errors import NotFoundError
from market.kit.money import format_credits, parse_credits
from market.kit.paging import Page
from market.kit.vocabulary import MACHINE_LIVE, MACHINE_STAYING
from market.kit.wire import loaded
from market.machines import client_package, contributions, registry, verification
from market.machines.schemas import ResizeRequestSchema
from market.people.member import Member
from market.web.pages import charts
from market.web.pages.base import MarketPage, offset, page
from market.web.pages.text import credits_text

_ROWS = 25
_INTERVALS = 100
_MEASUREMENTS = 10
_ENVIRONMENT = "~/market-client"
# What the command may be given beside numbers; the page checks the same, where a `-` in brackets is escaped.
_FITTING = {"window": r"\d\d:\d\d-\d\d:\d\d", "name": r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}"}


class MachinesView(MarketPage):
    """A member's machines."""

    route_base = "/market/machines"
    class_permission_name = menu.MACHINES
    default_view = "machines"
    entry = "My machines"

    @expose("/")
    @page("read")
    def machines(self, member: Member) -> Response:
        """List the member's machines and show the command that lends one."""
        rate = price.current()["rate"]
        first = offset(_ROWS)
        listing = registry.list_own(member, Page(limit=_ROWS, offset=first))
        return self.show(
            "machines.html",
            member,
            machines=listing.rows,
            total=listing.total,
            number=first // _ROWS + 1,
            pages=max(1, math.ceil(listing.total / _ROWS)),
            live=MACHINE_LIVE,
            staying=MACHINE_STAYING,
            rate=rate,
            offer=offer(member, float(rate)),
            types=settings.load().types,
            fitting=_FITTING,
            now_ms=clock.now_ms(),
        )

    @expose("/<string:machine_id>")
    @page("read")
    def machine(self, member: Member, machine_id: str) -> Response:
        """Show one machine and what it has earned."""
        machine = registry.get(member, machine_id)
        intervals = contributions.of_machine(member, machine_id)
        measured = registry.verifications(member, machine_id)
        return self.show(
            "machine.html",
            member,
            machine=machine,
            contributions=list(reversed(intervals))[:_INTERVALS],
            count=len(intervals),
            total=credits_text(sum_of(intervals)),
            chart=_earnings_chart(intervals),
            staying=MACHINE_STAYING,
            measured=measured[:_MEASUREMENTS],
            speeds=verification.summary(measured),
        )

    @expose("/<string:machine_id>/resize", methods=["POST"])
    @page("edit")
    def resize(self, member: Member, machine_id: str) -> Response:
        """Change what a machine lends."""
        form = {name: _number(request.form.get(name, "")) for name in ("core_count", "memory_size")}
        registry.resize(member, machine_id, **loaded(ResizeRequestSchema(), form))
        return self.go(
            "MachinesView.machine",
            "The new size is in force within seconds. What runs beyond it may end first.",
            machine_id=machine_id,
        )

    @expose("/<string:machine_id>/remove", methods=["POST"])
    @page("delete")
    def remove(self, member: Member, machine_id: str) -> Response:
        """Drain a machine and take it out of the pool."""
        registry.leave(member, machine_id, now=request.form.get("now") == "yes")
        return self.go(
            "MachinesView.machines",
            "The machine takes no more work. It leaves when the jobs on it have moved off.",
        )


def offer(member: Member, rate: float) -> dict[str, Any]:
    """Return what stands in the form, the command that it makes, and what the machine may earn an hour."""
    loaded = settings.load()
    types = loaded.types
    query = request.args
    begin, program = _begin(loaded)

    def number(field: str, default: int) -> int:
        return whole.parsed(query.get(field, ""), 999_999, lowest=1) or default

    chosen = query.get("type", "")
    form: dict[str, Any] = {
        "cores": number("cores", 2),
        "memory": number("memory", 4),
        "hours": number("hours", 8),
        "type": chosen if chosen in types else next(iter(types)),
        **{name: _fitting(name, query.get(name, "")) for name in _FITTING},
    }
    template = (
        begin + f"{program} share --cores {{cores}} --memory {{memory}}g --type {{type}} --hours {{hours}}"
        f"{{--window}}{{--name}} --username {member.username} --server {_address()}{_proof(loaded)}"
    )
    optional = {f"--{name}": f" --{name} {form[name]}" if form[name] else "" for name in _FITTING}
    kept = 1 - float(loaded.credits.fee)
    paid = types[form["type"]].weight_micro / 1e6 * form["cores"]
    paid += float(loaded.credits.gib_weight) * form["memory"]
    return form | {
        "template": template,
        "command": template.format(**form, **optional),
        "fetches": bool(begin),
        "only_here": loaded.loopback,
        "gib_weight": loaded.credits.gib_weight,
        "kept": kept,
        "earns": round(rate * paid * kept, 4),
    }


def _begin(loaded: settings.Settings) -> tuple[str, str]:
    """Return the lines that fetch the market's client, with a digest that pip checks, and its program.

    A market that has none to give away is joined from its clone, without such lines.
    """
    try:
        package = client_package.current()
    except NotFoundError:
        return "", "./market"
    # Its digest vouches for the file, whoever vouches for the market's certificate.
    trusted = f"--trusted-host {urlsplit(_address()).netloc} " if loaded.tls else ""
    address = f"{_address()}{package.address}#sha256={package.sha256}"
    lines = [f"python3 -m venv {_ENVIRONMENT}", f"{_ENVIRONMENT}/bin/pip install {trusted}'{address}'", ""]
    return "\n".join(lines), f"{_ENVIRONMENT}/bin/market"


def _address() -> str:
    """Return the market's address, as the browser knows it."""
    return request.host_url.rstrip("/")


def _fitting(field: str, text: str) -> str:
    """Return what an address gives for a field, if a command may hold it; else nothing."""
    return text if re.fullmatch(_FITTING[field], text) else ""


def _proof(loaded: settings.Settings) -> str:
    """Return the option by which a lender's agent knows the market that it was meant for.

    Without TLS there is none to know it by; on this host none is needed.
    """
    if loaded.tls:
        return f" --pin {tls.pin(loaded)}"
    return "" if loaded.loopback else " --plain-http"


def _number(text: str) -> object:
    """Return what a field of a form holds as a number, or as it is, for the schema to refuse."""
    number = whole.parsed(text, 10**9)
    return text if number is None else number


def sum_of(earned: list[dict[str, Any]]) -> str:
    """Return what the intervals add up to, in credits."""
    return format_credits(sum(parse_credits(line["earned"]) for line in earned))


def _earnings_chart(earned: list[dict[str, Any]]) -> charts.Chart | None:
    total, samples = 0.0, []
    for line in earned:
        total += float(line["earned"])
        samples.append((int(line["until"]), total))
    return charts.steps(
        "Earned by this machine",
        samples,
        clock.now_ms(),
        lambda figure: credits_text(round(figure, 6)),
        (0.0,),
    )
