"""`market share`: lend this machine."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from distributedmarket import profiles
from distributedmarket.cli import credentials, exits, options
from distributedmarket.cli import share as lending
from distributedmarket.cli.context import Context
from distributedmarket.runtime.places import Places


def share(parser: argparse.ArgumentParser) -> None:
    """Declare `market share`."""
    lending.add_arguments(parser, "that of the login")
    options.examples(
        parser,
        "market share --cores 2 --memory 4g --type cpu --hours 12",
        "market share --cores 4 --memory 8g --type cpu --hours 720 --window 22:00-06:00",
    )
    parser.set_defaults(run=_share)


def _share(context: Context, chosen: argparse.Namespace) -> int:
    profile, server = profiles.find(context.profile), context.server(chosen.server)
    is_meant = profile is not None and not chosen.username and server == profile.server
    login = context.market.client if is_meant else None
    trust = context.trust(server, credentials.trust(chosen))
    chosen.pin, chosen.ca, chosen.plain_http = trust.pin, trust.ca, trust.plain
    try:
        return lending.run(_places(), server, chosen, login)
    except KeyboardInterrupt:  # before the agent has begun, which knows what to do then
        print("\nmarket: interrupted; the same command goes on from here", file=sys.stderr)
        return exits.INTERRUPTED


def _places() -> Places:
    """Return where this user's machines lie: MARKET_STATE_DIR, else a folder of the user's."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    folder = Path(os.environ.get("MARKET_STATE_DIR") or data / "distributedmarket").absolute()
    return Places(installs=folder, state=folder)
