"""`./market settle --until NOW`: charge buyers and pay lenders up to a time, as the settlement's DAG does."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import psycopg2
from rich.console import Console
from rich.table import Table

from market.credits.settlement import steps
from market.kit.clock import now_ms
from market.kit.errors import UnavailableError
from market.kit.money import format_credits
from market.kit.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the time until which is settled."""
    parser.add_argument(
        "--until",
        type=until_ms,
        default="NOW",
        metavar="TIME",
        help="NOW (default), an ISO 8601 time (UTC unless it says otherwise), or epoch milliseconds",
    )


def until_ms(text: str) -> int:
    """Return the epoch milliseconds that a time on the command line means. Raises ArgumentTypeError."""
    if text.upper() == "NOW":
        return now_ms()
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: say NOW, 2026-11-24T10:00:00Z or epoch milliseconds"
        ) from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Settle, and say what moved; return 0. Raises MarketError."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        with console.status("waiting for the meter, settling"):
            settled: list[steps.SettledInterval] = steps.settle(chosen.until)
    except psycopg2.OperationalError:
        raise UnavailableError("the market's database does not answer: start it with ./market up") from None
    if not settled:
        console.print("everything until then is settled already")
        return 0
    table = Table(box=None, pad_edge=False)
    for title in ("interval", "until", "rate", "captured", "fee", "stipends", "refunded", "returned"):
        table.add_column(title, justify="left" if title == "until" else "right")
    quiet = 0
    for interval in settled:
        back = (interval.refunded_ucr, interval.returned_ucr)
        moved = (interval.captured_ucr, interval.fee_ucr, interval.stipend_ucr, *back)
        if not any(moved) and interval is not settled[-1]:
            quiet += 1
            continue
        until = f"{datetime.fromtimestamp(interval.until_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
        table.add_row(
            str(interval.interval_id), until, format_credits(interval.rate_micro), *map(format_credits, moved)
        )
    console.print(table)
    if quiet:
        console.print(f"and {quiet} intervals in which nothing moved")
    return 0
