"""Who speaks: options for the command line, and questions at a terminal."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path

from distributedmarket.client import MarketClient, Trust
from distributedmarket.errors import SetupError

_MOST_OF_A_TOKEN = 4096  # characters


def add_arguments(parser: argparse.ArgumentParser, default_server: str = "") -> None:
    """Declare the options; `default_server` says in words which market is meant without --server."""
    otherwise = f" (default: {default_server})" if default_server else ""
    parser.add_argument("--server", default="", help=f"its address, as https://10.8.0.1:8080{otherwise}")
    add_trust(parser)
    parser.add_argument("--username", default="", help="who lends (default: asked for)")
    parser.add_argument("--password-file", type=Path, help="file with the password (default: asked for)")


def login(server: str, chosen: argparse.Namespace) -> MarketClient:
    """Return a client that speaks for whom the options name. Raises SetupError, MarketClientError."""
    username, password = username_and_password(chosen.username, chosen.password_file, "who lends?")
    return MarketClient(server, trust=trust(chosen)).login(username, password)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Declare by what the market is known."""
    parser.add_argument("--pin", default="", help="fingerprint of its key, as sha256:... (ask its operator)")
    parser.add_argument("--ca", default="", help="certificate of its authority (a file), instead of --pin")
    parser.add_argument("--plain-http", action="store_true", help="speak without TLS, in a private network")


def trust(chosen: argparse.Namespace) -> Trust:
    """Return by what the options know the market. Raises MarketClientError."""
    return Trust(chosen.pin, chosen.ca, chosen.plain_http)


def username_and_password(
    username: str, file: Path | None, who: str = "who logs in?", new: bool = False
) -> tuple[str, str]:
    """Return what was given, and ask at the terminal for what was not: twice for a new password.

    Raises SetupError.
    """
    if not username and not sys.stdin.isatty():
        raise SetupError(f"{who} Give --username and --password-file: there is no terminal to ask")
    username = username or input("Username: ").strip()
    return username, password(file, new)


def answer(question: str, otherwise: str) -> str:
    """Ask at the terminal. Raises SetupError, with these words, where there is none."""
    if not sys.stdin.isatty():
        raise SetupError(f"{otherwise}: there is no terminal to ask")
    return input(question).strip()


def token() -> str:
    """Return a token for programs: asked for at a terminal, else from standard input. Raises SetupError."""
    if sys.stdin.isatty():
        given = getpass.getpass("Token: ").strip()
    else:
        given = sys.stdin.read(_MOST_OF_A_TOKEN).strip()
    if not given or not given.isascii() or not given.isprintable():
        raise SetupError("this is no token: make one with market tokens create")
    return given


def password(
    file: Path | None, new: bool = False, option: str = "--password-file", question: str = "Password: "
) -> str:
    """Return the password in a file, else ask for it; for a `new` one twice. Raises SetupError."""
    if file is not None:
        try:
            return file.read_text().strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", "it is no text")
            raise SetupError(f"{option} {file}: {reason}") from None
    if not sys.stdin.isatty():
        raise SetupError(f"give {option}: there is no terminal to ask for the password")
    given = getpass.getpass(question)
    if new and getpass.getpass("Once more: ") != given:
        raise SetupError("these were two passwords: try again")
    return given
