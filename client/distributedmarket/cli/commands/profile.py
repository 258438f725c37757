"""`market account`: your address, the name you are shown by, a password that was forgotten, and leaving."""

from __future__ import annotations

import argparse
from pathlib import Path

from distributedmarket.cli import credentials, exits, options, text
from distributedmarket.cli.context import Context, confirmed
from distributedmarket.client import ONCE, MarketClient
from distributedmarket.sdk import models
from distributedmarket.sdk.routes import Routes


def account(parser: argparse.ArgumentParser) -> None:
    """Declare `market account`."""
    words = parser.add_subparsers(required=True, metavar="show|confirm|email|name|reset|deactivate")
    options.examples(
        parser,
        "market account",
        "market account confirm",
        "market account confirm nq3...CODE_OF_THE_MAIL",
        "market account email ada@example.org",
        "market account name 'Ada Lovelace'",
        "market account reset ada --server https://10.8.0.1:8080",
        "market account reset --code nq3...CODE_OF_THE_MAIL",
        "market account deactivate --cancel-jobs",
    )
    shown = words.add_parser(
        "show", help="what the market knows of you, and waits for (also without this word)"
    )
    shown.set_defaults(run=_show)
    proven = words.add_parser("confirm", help="confirm your address; without a code, have one mailed")
    proven.add_argument("code", nargs="?", default="", metavar="CODE", help="that was mailed to you")
    _add_server(proven)
    proven.set_defaults(run=_confirm)
    changed = words.add_parser("email", help="give another address; it counts when it is confirmed")
    changed.add_argument("address", metavar="ADDRESS")
    changed.add_argument("--password-file", type=Path, metavar="FILE", help="file with your password")
    changed.set_defaults(run=_email)
    named = words.add_parser("name", help="the name that you are shown by; your username stays")
    named.add_argument("name", metavar="NAME")
    named.set_defaults(run=_name)
    forgot = words.add_parser("reset", help="set a new password, if you have forgotten the old one")
    forgot.add_argument(
        "who", nargs="?", default="", metavar="NAME", help="have a code mailed to this account"
    )
    forgot.add_argument("--code", default="", metavar="CODE", help="that was mailed to you")
    forgot.add_argument("--new-password-file", type=Path, metavar="FILE", help="file with the new password")
    _add_server(forgot)
    forgot.set_defaults(run=_reset)
    left = words.add_parser("deactivate", help="leave the market; an administrator can reopen the account")
    left.add_argument("--password-file", type=Path, metavar="FILE", help="file with your password")
    left.add_argument("--cancel-jobs", action="store_true", help="cancel your open jobs, if there are any")
    left.add_argument("--yes", action="store_true", help="do not ask")
    left.set_defaults(run=_deactivate)
    for leaf in (shown, proven, changed, named, forgot, left):
        options.common(leaf)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", default="", metavar="URL", help="the market's address")
    credentials.add_trust(parser)


def _as_nobody(context: Context, chosen: argparse.Namespace) -> Routes:
    """Return the routes of a market for who is not logged in; each is asked once: a code is good once."""
    server = context.server(chosen.server)
    trust = context.trust(server, credentials.trust(chosen))
    return Routes(MarketClient(server, trust=trust).using(retries=ONCE))


def _show(context: Context, chosen: argparse.Namespace) -> int:
    me = context.market.routes.me()
    context.output.answer(me, lambda: context.output.figures(_figures(me)))
    return exits.DONE


def _figures(me: models.User) -> list[tuple[str, str]]:
    waits_for = {
        "confirmation": "until your address is confirmed: market account confirm",
        "approval": "until an administrator approves your account",
    }
    refused = f": {text.clean(me.get('approval_reason') or '')}" if me.get("approval") == "refused" else ""
    return [
        ("name", text.clean(me["display_name"])),
        ("username", me["username"]),
        ("e-mail", f"{me['email']}{'' if me['email_confirmed'] else ' (not confirmed: gets no mail)'}"),
        ("new e-mail", f"{me['new_email']} (when it is confirmed)" if me.get("new_email") else ""),
        ("last failure", text.clean(me.get("email_failure") or "")),
        ("approval", f"{me.get('approval') or ''}{refused}"),
        ("first credits", waits_for.get(me.get("credit_waits_for") or "", "")),
    ]


def _confirm(context: Context, chosen: argparse.Namespace) -> int:
    if chosen.code:
        done = _as_nobody(context, chosen).confirm_email({"code": chosen.code})
    else:
        done = context.market.routes.ask_to_confirm()
    context.output.answer(done, lambda: context.output.line(text.clean(done["detail"])))
    return exits.DONE


def _email(context: Context, chosen: argparse.Namespace) -> int:
    password = credentials.password(chosen.password_file)
    done = context.market.routes.change_email({"email": chosen.address, "password": password})
    context.output.answer(done, lambda: context.output.line(text.clean(done["detail"])))
    return exits.DONE


def _name(context: Context, chosen: argparse.Namespace) -> int:
    me = context.market.routes.rename_user({"display_name": chosen.name})
    words = f"you are shown as {text.clean(me['display_name'])}"
    context.output.answer(me, lambda: context.output.line(words))
    return exits.DONE


def _reset(context: Context, chosen: argparse.Namespace) -> int:
    routes = _as_nobody(context, chosen)
    if not chosen.code:
        who = chosen.who or credentials.answer("Username or e-mail: ", "whose password? Name the account")
        asked = routes.ask_for_reset({"account": who})
        context.output.answer(asked, lambda: context.output.line(text.clean(asked["detail"])))
        return exits.DONE
    new = credentials.password(
        chosen.new_password_file, new=True, option="--new-password-file", question="New password: "
    )
    routes.reset_password({"code": chosen.code, "new_password": new})
    words = "the password is changed; log in with it: market login"
    context.output.answer({}, lambda: context.output.line(words))
    return exits.DONE


def _deactivate(context: Context, chosen: argparse.Namespace) -> int:
    market = context.market
    name = text.clean(market.routes.me()["username"])
    question = f"Deactivate {name}? All sessions and tokens end, and its machines leave the pool."
    if not confirmed(question, chosen.yes):
        return exits.REFUSED
    password = credentials.password(chosen.password_file)
    # Once: the first one that arrives ends what a second try would speak by.
    routes = Routes(market.client.using(retries=ONCE))
    done = routes.deactivate_account({"password": password, "cancel_jobs": chosen.cancel_jobs})
    words = (
        f"{name} is deactivated; jobs cancelled: {done['cancelled_jobs']}, machines that drain:"
        f" {done['draining_machines']}. An administrator can reopen it."
    )
    context.output.answer(done, lambda: context.output.line(words))
    return exits.DONE
