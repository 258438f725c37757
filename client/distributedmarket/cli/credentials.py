"""Who speaks: options for the command line, and questions at a terminal."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path

from distributedmarket.client import MarketClient
from distributedmarket.errors import SetupError


def add_arguments(parser: argparse.ArgumentParser, default_server: str = "") -> None:
    """Declare the options; `default_server` says in words which market is meant without --server."""
    otherwise = f" (default: {default_server})" if default_server else ""
    parser.add_argument("--server", default="", help=f"its address, as http://10.8.0.1:8080{otherwise}")
    parser.add_argument("--username", default="", help="who lends (default: asked for)")
    parser.add_argument("--password-file", type=Path, help="file with the password (default: asked for)")


def login(server: str, chosen: argparse.Namespace) -> MarketClient:
    """Return a client that speaks for whom the options name. Raises SetupError, MarketClientError."""
    return MarketClient(server).login(*_username_and_password(chosen))


def _username_and_password(chosen: argparse.Namespace) -> tuple[str, str]:
    terminal = sys.stdin.isatty()
    if not chosen.username and not terminal:
        raise SetupError("who lends? Give --username and --password-file: there is no terminal to ask")
    username = chosen.username or input("Username: ").strip()
    if chosen.password_file is not None:
        try:
            return username, chosen.password_file.read_text().strip()
        except OSError as error:
            raise SetupError(f"--password-file {chosen.password_file}: {error.strerror}") from None
    if not terminal:
        raise SetupError("give --password-file: there is no terminal to ask for the password")
    return username, getpass.getpass("Password: ")
