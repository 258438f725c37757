"""`market tokens`: what programs speak with, in the place of a password."""

from __future__ import annotations

import argparse

from distributedmarket.cli import exits, options, text
from distributedmarket.cli.context import Context
from distributedmarket.client import ONCE
from distributedmarket.errors import SetupError
from distributedmarket.sdk import models
from distributedmarket.sdk.routes import Routes

_SCOPES = "read, submit, lend, files, project"


def tokens(parser: argparse.ArgumentParser) -> None:
    """Declare `market tokens`."""
    words = parser.add_subparsers(required=True, metavar="list|create|revoke")
    options.examples(
        parser,
        "market tokens",
        "market tokens create nightly --scopes read,submit,files --lifetime 30d > token",
        "market tokens revoke nightly",
    )
    listed = words.add_parser(
        "list", help="what there is, and when it was last used (also without this word)"
    )
    listed.set_defaults(run=_list)
    made = words.add_parser("create", help="make a token; it is shown this once")
    made.add_argument("name", metavar="NAME", help="by which you will know it")
    made.add_argument(
        "--scopes", required=True, type=_scopes, metavar="SCOPE,...", help=f"what it is for: {_SCOPES}"
    )
    made.add_argument(
        "--lifetime", type=options.seconds, metavar="TIME", help="when it ends, as 12h or 30d (default: 90d)"
    )
    made.set_defaults(run=_create)
    revoked = words.add_parser("revoke", help="end tokens at once")
    revoked.add_argument("names", nargs="+", metavar="NAME", help="or the id")
    revoked.set_defaults(run=_revoke)
    for leaf in (listed, made, revoked):
        options.common(leaf)


def _scopes(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _list(context: Context, chosen: argparse.Namespace) -> int:
    found = context.market.routes.list_tokens()["tokens"]
    headings = ("name", "for", "until", "last used", "id")
    rows = [
        (
            *(one["name"], ", ".join(one["scopes"]), text.at(one["expires_time"])),
            *(text.at(one.get("last_used_time")), one["token_id"]),
        )
        for one in found
    ]
    context.output.answer({"tokens": found}, lambda: context.output.table(headings, rows, "no tokens yet"))
    return exits.DONE


def _create(context: Context, chosen: argparse.Namespace) -> int:
    body: models.ProgramTokenRequest = {"name": chosen.name, "scopes": chosen.scopes}
    if chosen.lifetime is not None:
        body["lifetime_s"] = chosen.lifetime
    # Once: a second try would find the name in use, and the first one's token would be lost.
    made = Routes(context.market.client.using(retries=ONCE)).create_token(body)
    context.output.answer(made, lambda: context.output.line(made["token"]))
    return exits.DONE


def _revoke(context: Context, chosen: argparse.Namespace) -> int:
    routes = context.market.routes
    known = {key: one for one in routes.list_tokens()["tokens"] for key in (one["token_id"], one["name"])}
    if missing := [name for name in chosen.names if name not in known]:
        raise SetupError(f"you have no token {text.clean(missing[0])}: see market tokens")
    for name in dict.fromkeys(known[name]["token_id"] for name in chosen.names):
        routes.revoke_token(name)
    named = ", ".join(text.clean(name) for name in chosen.names)
    context.output.answer({"revoked": chosen.names}, lambda: context.output.line(f"revoked {named}"))
    return exits.DONE
