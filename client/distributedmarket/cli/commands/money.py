"""`market credits`, `statement`, `price`, `receipt`: what it costs, and what one has."""

from __future__ import annotations

import argparse
import sys

from distributedmarket.cli import exits, find, options, text
from distributedmarket.cli.context import Context
from distributedmarket.client import MarketApiError
from distributedmarket.sdk import models

_A_JOB = "its id, the last digits of it, or its name (default: the newest)"
_CHUNK = 1 << 16


def credits(parser: argparse.ArgumentParser) -> None:
    """Declare `market credits`."""
    options.examples(parser, "market credits", "market credits --json")
    parser.set_defaults(run=_credits)


def _credits(context: Context, chosen: argparse.Namespace) -> int:
    found = context.market.credits()
    pairs = [
        ("available", f"{text.credits(found['available'])} credits"),
        ("held", f"{text.credits(found['held'])} for open jobs"),
        ("balance", text.credits(found["balance"])),
        ("earned", f"{text.credits(found['sharing_credit'])} by lending"),
        ("spent", f"{text.credits(found['using_credit'])} on jobs"),
        ("owed", text.credits(found.get("owed")) if found.get("owed", "").strip("0.") else ""),
        ("rate now", text.credits(found["rate"])),
    ]
    context.output.answer(found, lambda: context.output.figures(pairs))
    return exits.DONE


def statement(parser: argparse.ArgumentParser) -> None:
    """Declare `market statement`."""
    parser.add_argument("--limit", type=int, default=30, metavar="N", help="how many, the newest (30)")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--format", choices=("csv", "beancount"), help="all of it, in another form")
    options.examples(parser, "market statement", "market statement --format csv > statement.csv")
    parser.set_defaults(run=_statement)


def _statement(context: Context, chosen: argparse.Namespace) -> int:
    market = context.market
    if chosen.format:
        with market.routes.statement_as(market.user_id, chosen.format) as answer:
            for chunk in answer.iter_content(_CHUNK):
                sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return exits.DONE
    lines = market.statement()
    if not chosen.all:
        lines = lines[-max(1, chosen.limit) :]
    rows = [_line(line) for line in lines]
    headings = ("at", "kind", "for", ">credits", ">balance")
    context.output.answer({"lines": lines}, lambda: context.output.table(headings, rows, "no postings yet"))
    return exits.DONE


def _line(line: models.StatementLine) -> tuple[str, ...]:
    job_id = line.get("job_id")
    subject = f"job {text.short(job_id)}" if job_id else line.get("note", "")
    amount, balance = text.credits(line["amount"]), text.credits(line["balance"])
    return text.at(line["at"]), line["kind"], subject, amount, balance


def price(parser: argparse.ArgumentParser) -> None:
    """Declare `market price`."""
    options.examples(parser, "market price", "market price --json")
    parser.set_defaults(run=_price)


def _price(context: Context, chosen: argparse.Namespace) -> int:
    found = context.market.routes.price(limit=1)
    try:
        capacity = context.market.capacity()
    except MarketApiError:  # YARN is away, and the prices are known all the same
        capacity = {}
    rows = [
        (
            name,
            text.credits(line["core_hour"]),
            text.credits(line["gib_hour"]),
            str(capacity.get(name, {}).get("machines", "-")),
            str(capacity.get(name, {}).get("cores_free", "-")),
        )
        for name, line in found["types"].items()
    ]

    def show() -> None:
        context.output.line(f"rate {text.credits(found['rate'])}")
        headings = ("type", ">core, an hour", ">GiB, an hour", ">machines", ">free cores")
        context.output.table(headings, rows, "no types")

    context.output.answer({**found, "capacity": capacity}, show)
    return exits.DONE


def receipt(parser: argparse.ArgumentParser) -> None:
    """Declare `market receipt`."""
    parser.add_argument("job", nargs="?", default="", metavar="JOB", help=_A_JOB)
    options.examples(parser, "market receipt", "market receipt 3f2a --json")
    parser.set_defaults(run=_receipt)


def _receipt(context: Context, chosen: argparse.Namespace) -> int:
    job = find.job(context.market, chosen.job)
    found = job.receipt()
    rows = [
        (
            line["role"],
            line["host"],
            text.duration(float(line["seconds"])),
            str(line["vcores"]),
            text.size(line["memory_mib"] << 20),
            text.credits(line["amount"]),
            line.get("not_charged_because") or "",
        )
        for line in found["containers"]
    ]
    headings = ("container", "machine", ">time", ">cores", ">memory", ">credits", "not charged")

    def show() -> None:
        context.output.line(
            f"{text.clean(job.record['job_name'])} ({job.id}), rate {text.credits(found['rate'])}"
        )
        context.output.table(headings, rows, "no container has been charged yet")
        state = "" if found["final"] else " so far: the last minutes are not settled yet"
        context.output.line(f"charge  {text.credits(found['charge'])} credits{state}")
        if found["payer"] != found["submitter"]:
            context.output.line(f"paid by project {text.clean(found['payer'])}")
        for name in ("refunded", "returned", "owed"):
            amount = str(found.get(name) or "")
            if amount.strip("0."):
                context.output.line(f"{name}  {text.credits(amount)} credits")
        if pairs := text.used(found.get("used")):
            context.output.figures(pairs)

    context.output.answer(found, show)
    return exits.DONE
