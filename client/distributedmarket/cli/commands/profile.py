"""`market account`: your address, the name you are shown by, a password that was forgotten, and leaving."""

from __future__ import annotations

import argparse
from pathlib import Path

from distributedmarket.cli import credentials, exits, options, text
from distributedmarket.cli.context import Context, confirmed
from distributedmarket.client import ONCE, MarketClient
from distributedmarket.sdk import Market, models
from distributedmarket.sdk.routes import Routes


def account(parser: argparse.ArgumentParser) -> None:
    """Declare `market account`."""
    words = parser.add_subparsers(required=True, metavar="show|confirm|email|name|reset|deactivate|delete")
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
        "market account delete --password-file password",
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
    left.set_defaults(run=_deactivate)
    deleted = words.add_parser(
        "delete", help="have the account deleted, some days after: its files, secrets, address and name"
    )
    deleted.set_defaults(run=_delete)
    for leaf in (left, deleted):
        leaf.add_argument("--password-file", type=Path, metavar="FILE", help="file with your password")
        leaf.add_argument(
            "--cancel-jobs", action="store_true", help="cancel your open jobs, if there are any"
        )
        leaf.add_argument("--yes", action="store_true", help="do not ask")
    for leaf in (shown, proven, changed, named, forgot, left, deleted):
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
    done = _once(market).deactivate_account(_leaving(chosen))
    words = f"{name} is deactivated; {_left(done)}. An administrator can reopen it."
    context.output.answer(done, lambda: context.output.line(words))
    return exits.DONE


def _delete(context: Context, chosen: argparse.Namespace) -> int:
    market = context.market
    name = text.clean(market.routes.me()["username"])
    question = (
        f"Delete {name}? All sessions and tokens end now, and its machines leave the pool; some days later"
        " its files, results, secrets, address and name are gone for good."
    )
    if not confirmed(question, chosen.yes):
        return exits.REFUSED
    done = _once(market).delete_account(_leaving(chosen))
    words = (
        f"{name} is deactivated, and deleted on {text.at(done['deletion_time'])}; {_left(done)}. Until then"
        " an administrator can reopen it."
    )
    context.output.answer(done, lambda: context.output.line(words))
    return exits.DONE


def _leaving(chosen: argparse.Namespace) -> models.Deactivation:
    return {"password": credentials.password(chosen.password_file), "cancel_jobs": chosen.cancel_jobs}


def _once(market: Market) -> Routes:
    """Return the routes without a second try: the first request that arrives ends what one would speak by."""
    return Routes(market.client.using(retries=ONCE))


def _left(done: models.Deactivated | models.DeletionAsked) -> str:
    return f"jobs cancelled: {done['cancelled_jobs']}, machines that drain: {done['draining_machines']}"
