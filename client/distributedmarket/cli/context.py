"""What a command works with: the market of the profile that is meant, and where its answers go."""

from __future__ import annotations

import argparse
import functools
import os
import sys

from distributedmarket import profiles
from distributedmarket.cli.output import Output
from distributedmarket.client import Trust
from distributedmarket.errors import SetupError
from distributedmarket.sdk import Market

# The market that `./market` of a clone means, where the person names none.
DEFAULT_SERVER = "MARKET_DEFAULT_SERVER"
DEFAULT_PIN = "MARKET_DEFAULT_PIN"  # and the fingerprint of its key


class Context:
    """Of one command. `profile` is the name of the login, and empty for the usual one."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.profile = str(options.profile)
        self.output = Output(as_json=bool(options.json))

    @functools.cached_property
    def market(self) -> Market:
        """The market, for who is logged in. Raises NotLoggedInError."""
        return Market(profile=self.profile)

    def server(self, given: str) -> str:
        """Return the market's address: the one given, else the profile's, else that of this clone.

        Raises SetupError.
        """
        known = profiles.find(self.profile)
        found = given or (known.server if known else "") or os.environ.get(DEFAULT_SERVER, "")
        if not found:
            raise SetupError("to which market? Give --server https://HOST:PORT")
        return found.rstrip("/")

    def trust(self, server: str, given: Trust) -> Trust:
        """Return by what a market is known: what is given, else what the profile or the clone knows of it."""
        known = profiles.find(self.profile)
        if given != Trust():
            return given
        if known and known.server == server:
            return known.trust
        return Trust(os.environ.get(DEFAULT_PIN, "")) if _is_default(server) else given


def _is_default(server: str) -> bool:
    return server == os.environ.get(DEFAULT_SERVER, "").rstrip("/")


def confirmed(question: str, yes: bool) -> bool:
    """Ask a yes or no, which `--yes` answers. Raises SetupError where there is no terminal to ask."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise SetupError(f"{question} There is no terminal to ask: say --yes")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
