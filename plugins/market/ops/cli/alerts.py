"""`./market alerts [--all] [--acknowledge N ...]`: what an operator should look at."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime

import psycopg2
from rich.console import Console
from rich.table import Table

from market.kit import alerts
from market.kit.errors import UnavailableError
from market.kit.paging import Page
from market.kit.settings import Settings

_SHOWN = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take which alerts are shown, and which have been seen to."""
    parser.add_argument(
        "--all", action="store_true", help="also those that were acknowledged or have cleared"
    )
    parser.add_argument(
        "--acknowledge", nargs="+", type=int, metavar="N", default=[], help="have been seen to"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Acknowledge some, then show the rest; return 0. Raises NotFoundError, UnavailableError."""
    try:
        for alert_id in chosen.acknowledge:
            alerts.acknowledge(alert_id, settings.service.account)
        found = alerts.list_alerts(Page(limit=_SHOWN), alerts.ALL if chosen.all else alerts.OPEN)
    except psycopg2.OperationalError:
        raise UnavailableError("the market's database does not answer: start it with ./market up") from None
    if chosen.json:
        print(json.dumps([asdict(alert) for alert in found.rows], indent=1))
        return 0
    if not found.rows:
        print("nothing needs a look")
        return 0
    table = Table(box=None, pad_edge=False)
    for title in ("N", "kind", "subject", "since", "last", "times", "", "detail"):
        table.add_column(title, justify="right" if title in ("N", "times") else "left")
    for alert in found.rows:
        state = (
            "cleared" if alert.cleared else f"seen by {alert.acknowledged_by}" if alert.acknowledged else ""
        )
        times = (_utc(alert.first), _utc(alert.at), str(alert.times))
        table.add_row(str(alert.alert_id), alert.kind, alert.subject, *times, state, alert.detail, style=None)
    Console(highlight=False, markup=False).print(table)
    if found.total > len(found.rows):
        print(f"and {found.total - len(found.rows)} more")
    return 0


def _utc(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
