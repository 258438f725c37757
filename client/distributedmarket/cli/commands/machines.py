"""`market machines`, `machine`, `resize`, `leave`: what one lends."""

from __future__ import annotations

import argparse
import time

from distributedmarket.cli import exits, find, options, text
from distributedmarket.cli.context import Context, confirmed
from distributedmarket.errors import SetupError
from distributedmarket.sdk import models

_A_MACHINE = "its name, its id, or the last digits of it"
_GONE = ("left", "rejected")


def machines(parser: argparse.ArgumentParser) -> None:
    """Declare `market machines`."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--market", action="store_true", help="all of the market, not yours alone")
    which.add_argument("--all", action="store_true", help="yours that have left, too")
    options.examples(parser, "market machines", "market machines --market")
    parser.set_defaults(run=_machines)


def _machines(context: Context, chosen: argparse.Namespace) -> int:
    found = [
        one
        for one in context.market.machines(chosen.market)
        if chosen.all or one["availability"] not in _GONE
    ]
    rows = [
        (
            one["display_name"],
            one["machine_type"],
            one["availability"],
            str(one["core_count"]),
            text.size(one["memory_size"] << 20),
            _left(one),
            text.credits(one.get("earned")),
        )
        for one in found
    ]
    headings = ("machine", "type", "state", ">cores", ">memory", ">time left", ">earned (credits)")
    nothing = "no machines: market share lends this one"
    context.output.answer({"machines": found}, lambda: context.output.table(headings, rows, nothing))
    return exits.DONE


def _left(machine: models.Machine) -> str:
    end = machine.get("lease_end")
    if end is None or machine["availability"] in _GONE:
        return "-"
    return text.duration(max(0.0, end / 1000 - time.time()))


def machine(parser: argparse.ArgumentParser) -> None:
    """Declare `market machine`."""
    parser.add_argument("machine", metavar="MACHINE", help=_A_MACHINE)
    options.examples(parser, "market machine cpu-laptop", "market machine 5e1f --json")
    parser.set_defaults(run=_machine)


def _machine(context: Context, chosen: argparse.Namespace) -> int:
    found = find.machine(context.market, chosen.machine)
    pairs = [
        ("machine", found["display_name"]),
        ("id", found["machine_id"]),
        ("type", found["machine_type"]),
        ("state", found["availability"]),
        ("reason", found.get("reason") or ""),
        ("cores", str(found["core_count"])),
        ("memory", text.size(found["memory_size"] << 20)),
        ("hours", found.get("hours") or ""),
        ("lent until", text.at(found.get("lease_end"))),
        ("verified", text.at(found.get("verified_time"))),
        ("earned", f"{text.credits(found.get('earned'))} credits"),
    ]
    context.output.answer(found, lambda: context.output.figures(pairs))
    return exits.DONE


def resize(parser: argparse.ArgumentParser) -> None:
    """Declare `market resize`."""
    parser.add_argument("machine", metavar="MACHINE", help=_A_MACHINE)
    parser.add_argument("--cores", type=int, metavar="N", help="cores to lend from now on")
    parser.add_argument("--memory", metavar="SIZE", help="memory to lend from now on, as 8g")
    options.examples(parser, "market resize cpu-laptop --cores 2", "market resize 5e1f --memory 4g")
    parser.set_defaults(run=_resize)


def _resize(context: Context, chosen: argparse.Namespace) -> int:
    body: models.ResizeRequest = {}
    if chosen.cores is not None:
        body["core_count"] = chosen.cores
    if chosen.memory is not None:
        body["memory_size"] = options.memory_mib(chosen.memory)
    if not body:
        raise SetupError("resize it to what? Give --cores or --memory")
    found = find.machine(context.market, chosen.machine)
    changed = context.market.routes.resize(found["machine_id"], body)
    size = f"{text.counted(changed['core_count'], 'core')} and {text.size(changed['memory_size'] << 20)}"
    words = f"{text.clean(changed['display_name'])} lends {size}"
    context.output.answer(changed, lambda: context.output.line(words))
    return exits.DONE


def leave(parser: argparse.ArgumentParser) -> None:
    """Declare `market leave`."""
    parser.add_argument("machine", metavar="MACHINE", help=_A_MACHINE)
    parser.add_argument("--now", action="store_true", help="do not let what runs there move off first")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options.examples(parser, "market leave cpu-laptop", "market leave 5e1f --now --yes")
    parser.set_defaults(run=_leave)


def _leave(context: Context, chosen: argparse.Namespace) -> int:
    found = find.machine(context.market, chosen.machine)
    name = text.clean(found["display_name"])
    if not confirmed(f"Take {name} out of the pool{' at once' if chosen.now else ''}?", chosen.yes):
        return exits.REFUSED
    state = context.market.routes.leave(found["machine_id"], now=chosen.now)
    context.output.answer(state, lambda: context.output.line(f"{name} {state['status']}"))
    return exits.DONE
