"""`market register`, `login`, `logout`, `password`, `whoami`: who speaks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from distributedmarket import profiles
from distributedmarket.cli import credentials, exits, options, text
from distributedmarket.cli.context import Context
from distributedmarket.client import ONCE, MarketClient, Trust
from distributedmarket.errors import SetupError
from distributedmarket.profiles import Profile
from distributedmarket.sdk import models
from distributedmarket.sdk.market import log_in, remember
from distributedmarket.sdk.routes import Routes


def register(parser: argparse.ArgumentParser) -> None:
    """Declare `market register`."""
    _add_credentials(parser)
    parser.add_argument("--email", default="", metavar="ADDRESS", help="your e-mail (default: asked for)")
    parser.add_argument(
        "--invitation", default="", metavar="CODE", help="where people come by invitation only"
    )
    options.examples(parser, "market register --server https://10.8.0.1:8080 --pin sha256:...")
    parser.set_defaults(run=_register)


def _register(context: Context, chosen: argparse.Namespace) -> int:
    server = context.server(chosen.server)
    trust = context.trust(server, credentials.trust(chosen))
    if not chosen.email and not sys.stdin.isatty():
        raise SetupError("whose account? Give --email: there is no terminal to ask")
    username, password = credentials.username_and_password(chosen.username, chosen.password_file, new=True)
    email = chosen.email or input("E-mail: ").strip()
    account: models.Registration = {"username": username, "password": password, "email": email}
    if chosen.invitation:
        account["invitation"] = chosen.invitation
    user = Routes(MarketClient(server, trust=trust)).register_user(account)
    log_in(server, username, password, context.profile, _kept(chosen.password_file), trust)
    words = f"registered at {server} as {text.clean(username)}, with {text.credits(user['credit'])} credits"
    if user.get("credit_waits_for"):
        words += "; what your first credits wait for: market account"
    context.output.answer(user, lambda: context.output.line(words))
    return exits.DONE


def login(parser: argparse.ArgumentParser) -> None:
    """Declare `market login`."""
    _add_credentials(parser)
    parser.add_argument(
        "--token",
        action="store_true",
        help="with a token for programs: asked for, or read from standard input",
    )
    options.examples(
        parser,
        "market login --server https://10.8.0.1:8080 --pin sha256:... --username ada",
        "market login --server https://10.8.0.1:8080 --token < token",
        "market login --username ada --password-file ~/.market-password",
        "market login --profile work --server https://market.example.org",
    )
    parser.set_defaults(run=_login)


def _add_credentials(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", default="", metavar="URL", help="the market's address")
    credentials.add_trust(parser)
    parser.add_argument("--username", default="", metavar="NAME", help="whose account (default: asked for)")
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="file with the password (default: asked for); it is read again when the login has expired",
    )


def _by_token(context: Context, server: str, trust: Trust) -> int:
    """Keep a token for programs as the login."""
    token = credentials.token()
    me = Routes(MarketClient(server, token, trust=trust)).me()
    profiles.save(
        Profile(
            *(server, me["username"], me["user_id"], token),
            pin=trust.pin,
            ca=trust.ca,
            plain_http=trust.plain,
        ),
        context.profile,
    )
    answer = {"server": server, "username": me["username"], "user_id": me["user_id"], "expires_time": None}
    words = f"logged in to {server} as {text.clean(me['username'])}, for what the token may do"
    context.output.answer(answer, lambda: context.output.line(words))
    return exits.DONE


def _login(context: Context, chosen: argparse.Namespace) -> int:
    server = context.server(chosen.server)
    trust = context.trust(server, credentials.trust(chosen))
    if chosen.token:
        return _by_token(context, server, trust)
    username, password = credentials.username_and_password(chosen.username, chosen.password_file)
    file = _kept(chosen.password_file)
    made = log_in(server, username, password, context.profile, file, trust)
    answer = {"server": made.server, "username": made.username, "user_id": made.user_id,
              "expires_time": made.expires_ms}  # fmt: skip
    until = f" until {text.at(made.expires_ms)}" if not file else ""
    context.output.answer(
        answer, lambda: context.output.line(f"logged in to {made.server} as {text.clean(username)}{until}")
    )
    return exits.DONE


def password(parser: argparse.ArgumentParser) -> None:
    """Declare `market password`."""
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="file with the one that you have")
    parser.add_argument("--new-password-file", type=Path, metavar="FILE", help="file with the new one")
    options.examples(parser, "market password", "market password --password-file old --new-password-file new")
    parser.set_defaults(run=_password)


def _password(context: Context, chosen: argparse.Namespace) -> int:
    market = context.market
    username = market.routes.me()["username"]
    old = credentials.password(chosen.password_file, question="Old password: ")
    new = credentials.password(
        chosen.new_password_file, new=True, option="--new-password-file", question="New password: "
    )
    # Once: with the first change every older token ends, that of a second try, too.
    routes = Routes(market.client.using(retries=ONCE))
    token = routes.change_password({"old_password": old, "new_password": new})
    file, trust = _kept(chosen.new_password_file), market.client.trust
    remember(market.client.url, username, token, context.profile, file, trust)
    words = "the password is changed; whoever else was logged in as you has to log in anew"
    context.output.answer({"username": username}, lambda: context.output.line(words))
    return exits.DONE


def _kept(file: Path | None) -> str:
    """Return what a profile keeps of a file with a password: where it lies."""
    return str(file.absolute()) if file else ""


def logout(parser: argparse.ArgumentParser) -> None:
    """Declare `market logout`."""
    parser.add_argument("--all", action="store_true", help="forget every login of this user")
    options.examples(parser, "market logout", "market logout --profile work", "market logout --all")
    parser.set_defaults(run=_logout)


def _logout(context: Context, chosen: argparse.Namespace) -> int:
    names = list(profiles.every()) if chosen.all else [profiles.chosen(context.profile)]
    gone = [name for name in names if profiles.remove(name)]
    words = f"logged out: {', '.join(gone)}" if gone else "nobody was logged in"
    context.output.answer({"profiles": gone}, lambda: context.output.line(words))
    return exits.DONE


def whoami(parser: argparse.ArgumentParser) -> None:
    """Declare `market whoami`."""
    options.examples(parser, "market whoami", "market whoami --json")
    parser.set_defaults(run=_whoami)


def _whoami(context: Context, chosen: argparse.Namespace) -> int:
    me = context.market.routes.me()
    pairs = [
        ("name", me["username"]),
        ("market", context.market.client.url),
        ("e-mail", me["email"]),
        ("id", me["user_id"]),
        ("credits", text.credits(me["credit"])),
        ("role", "administrator" if me["is_admin"] else ""),
    ]
    answer = {**me, "server": context.market.client.url}
    context.output.answer(answer, lambda: context.output.figures(pairs))
    return exits.DONE
