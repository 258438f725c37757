"""`market COMMAND`: the command line of whoever uses a market from elsewhere."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from distributedmarket import VERSION
from distributedmarket.cli import share
from distributedmarket.errors import DistributedMarketError, SetupError
from distributedmarket.runtime.places import Places


def run() -> None:
    """Run the command that was typed, and end with its exit code."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        if not chosen.server:
            raise SetupError("to which market? Give --server http://HOST:PORT")
        return share.run(_places(), chosen.server, chosen)
    except DistributedMarketError as error:
        print(f"market: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nmarket: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="market", description="Use a market of machines and Spark jobs.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    share.add_arguments(commands.add_parser("share", help="lend this machine"))
    return parser


def _places() -> Places:
    """Return where this user's machines lie: MARKET_STATE_DIR, else a folder of the user's."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    folder = Path(os.environ.get("MARKET_STATE_DIR") or data / "distributedmarket").absolute()
    return Places(installs=folder, state=folder)


if __name__ == "__main__":
    run()
