"""`./market share`: lend this machine, by default to the market of this clone.

It runs in the agent's own environment: nothing here may import Airflow, a database's driver or Flask.
"""

from __future__ import annotations

import argparse
import os
import sys

from distributedmarket.agent.process_tags import STACK_VARIABLE
from distributedmarket.cli import share
from market.kit.settings import Settings
from market.ops.cli import own_market
from market.ops.install.install_steps import places_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    share.add_arguments(parser, default_server="the market of this clone")


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Lend this machine until it has left; return the exit code."""
    server = chosen.server or settings.url("api")
    if server == settings.url("api"):
        _belong_to(settings)
        chosen.plain_http = not settings.tls
        chosen.pin = chosen.pin or ("" if chosen.ca else own_market.pin(settings))
    return share.run(places_of(settings.paths), server, chosen)


def _belong_to(settings: Settings) -> None:
    """Carry the tag of the stack, so that its end is this agent's end too; may start this process anew.

    What other processes see of an environment is what a process was started with.
    """
    tag = str(settings.paths.state)
    if os.environ.get(STACK_VARIABLE) != tag:
        os.environ[STACK_VARIABLE] = tag
        os.execv(sys.executable, [sys.executable, "-m", "market.ops.cli", *sys.argv[1:]])  # noqa: S606
