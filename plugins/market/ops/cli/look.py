"""`./market look URL`: what a page of Hadoop's or Spark's servers says to the market, and to nobody else."""

from __future__ import annotations

import argparse
import sys

from market.cluster.clients import asker
from market.cluster.http import opened
from market.kit.settings import Settings

_OK = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the address."""
    parser.add_argument(
        "url", metavar="URL", help="of a page or of a REST interface, as http://HOST:PORT/jmx"
    )


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Print the answer as it comes; return 0 only for what was found. Nothing is changed.

    Raises ClusterUnavailable where nobody answers, and for an answer without end.
    """
    with opened("GET", chosen.url, asker=asker(settings)) as answer:
        for chunk in answer.chunks():
            sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
    if answer.status_code != _OK:
        print(f"market: {answer.server} answered {answer.status_code}", file=sys.stderr)
    return 0 if answer.status_code == _OK else 1
