"""`./market status`: how each service is, what the market is doing, and where to log in."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from distributedmarket.cli.output import Output
from distributedmarket.cli.text import clean, counted
from market.kit.settings import API, Settings
from market.ops.run import lifecycle, overview, running_release
from market.ops.run.lifecycle import Health
from market.ops.run.overview import Overview

_TITLES = ("service", "health", "address")
_GAP = "  "
_BELOW = " " * 4


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Show it; return 0 only when all is healthy."""
    if chosen.json:
        report = lifecycle.as_json(settings)
        print(json.dumps(report, indent=1))
        services = report["services"]
        assert isinstance(services, list)
        return 0 if all(service["healthy"] for service in services) else 1
    healths = lifecycle.status(settings)
    output = Output()
    for line in services_lines(healths, shutil.get_terminal_size().columns, output):
        output.line(line)
    output.line()
    output.figures(summary(settings, healths, overview.look(), running_release.look(settings).told))
    return 0 if all(health.healthy for health in healths) else 1


def services_lines(healths: Sequence[Health], columns: int, output: Output) -> Iterator[str]:
    """Yield a line for each service, with what does not fit into it below, whole."""
    rows = [(clean(one.name), _word(one), clean(one.address)) for one in healths]
    widths = [max(map(len, column)) for column in zip(_TITLES, *rows, strict=True)]
    yield output.colour(_GAP.join([*map(str.ljust, _TITLES, widths), "detail"]), "dim")
    for health, row in zip(healths, rows, strict=True):
        name, word, address = map(str.ljust, row, widths)
        colour = "green" if health.healthy else "red"
        taken = len(_GAP.join([name, word, address, ""]))
        beside, below = _split(clean(health.detail), columns - taken)
        yield _GAP.join([name, output.colour(word, colour), address, beside]).rstrip()
        yield from textwrap.wrap(
            below, columns, initial_indent=_BELOW, subsequent_indent=_BELOW, break_on_hyphens=False
        )


def _split(detail: str, room: int) -> tuple[str, str]:
    """Return the parts of a detail for which there is room beside the service, and the others."""
    parts = detail.split("; ")
    count = 0
    while count < len(parts) and len("; ".join(parts[: count + 1])) <= room:
        count += 1
    return "; ".join(parts[:count]), "; ".join(parts[count:])


def _word(health: Health) -> str:
    return "healthy" if health.healthy else "NOT healthy"


def summary(
    settings: Settings, healths: Sequence[Health], market: Overview | None, release: str
) -> list[tuple[str, str]]:
    """Return names with what there is to say of the whole."""
    ill = [health.name for health in healths if not health.healthy]
    away = "the database does not answer"
    return [
        (
            "services",
            f"{len(ill)} of {len(healths)} are not healthy: {', '.join(ill)}" if ill else "all healthy",
        ),
        ("jobs", _counted(market.jobs, "open job") if market else away),
        ("machines", _counted(market.machines, "machine") if market else away),
        ("release", release),
        ("address", settings.url(API)),
        ("log in", f"as {settings.service.admin}; the first password is in"),
        ("", str(settings.paths.secrets / "admin_password")),
    ]


def _counted(numbers: Mapping[str, int], noun: str) -> str:
    total = sum(numbers.values())
    parts = ", ".join(f"{number} {word}" for word, number in numbers.items())
    return f"{counted(total, noun)}: {parts}" if total else f"no {noun}s"
