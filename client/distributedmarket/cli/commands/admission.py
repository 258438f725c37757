"""`market invitations`, `market approvals`: who becomes a member; for administrators."""

from __future__ import annotations

import argparse

from distributedmarket.cli import exits, options, text
from distributedmarket.cli.context import Context
from distributedmarket.client import ONCE
from distributedmarket.errors import SetupError
from distributedmarket.sdk import models
from distributedmarket.sdk.pages import LONGEST
from distributedmarket.sdk.routes import Routes


def invitations(parser: argparse.ArgumentParser) -> None:
    """Declare `market invitations`."""
    words = parser.add_subparsers(required=True, metavar="list|create|revoke")
    options.examples(
        parser,
        "market invitations",
        "market invitations create 'the class of 2027' --uses 30 --lifetime 14d > code",
        "market invitations revoke 3f2a91c0...ID",
    )
    listed = words.add_parser(
        "list", help="what there is, and how often it was used (also without this word)"
    )
    listed.set_defaults(run=_list)
    made = words.add_parser("create", help="make an invitation; its code is shown this once")
    made.add_argument("note", metavar="NOTE", help="for whom it is")
    made.add_argument("--uses", type=int, metavar="N", help="how many accounts it is good for (default: 1)")
    made.add_argument(
        "--lifetime", type=options.seconds, metavar="TIME", help="when it ends, as 12h or 30d (default: 14d)"
    )
    made.set_defaults(run=_create)
    revoked = words.add_parser("revoke", help="have invitations be good no more")
    revoked.add_argument("ids", nargs="+", metavar="ID")
    revoked.set_defaults(run=_revoke)
    for leaf in (listed, made, revoked):
        options.common(leaf)


def _list(context: Context, chosen: argparse.Namespace) -> int:
    found = context.market.routes.list_invitations(limit=LONGEST)["invitations"]
    headings = ("for", "used", "until", "by", "id")
    rows = [
        (
            *(text.clean(one["note"]), f"{one['used']} of {one['uses']}"),
            "revoked" if one.get("revoked_time") else text.at(one["expires_time"]),
            *(one["made_by"], one["invitation_id"]),
        )
        for one in found
    ]
    empty = "no invitations yet"
    context.output.answer({"invitations": found}, lambda: context.output.table(headings, rows, empty))
    return exits.DONE


def _create(context: Context, chosen: argparse.Namespace) -> int:
    body: models.InvitationRequest = {"note": chosen.note}
    if chosen.uses is not None:
        body["uses"] = chosen.uses
    if chosen.lifetime is not None:
        body["lifetime_s"] = chosen.lifetime
    # Once: a second try would make a second invitation, and the first one's code would be lost.
    made = Routes(context.market.client.using(retries=ONCE)).create_invitation(body)
    context.output.answer(made, lambda: context.output.line(made["code"]))
    return exits.DONE


def _revoke(context: Context, chosen: argparse.Namespace) -> int:
    for invitation_id in dict.fromkeys(chosen.ids):
        context.market.routes.revoke_invitation(invitation_id)
    words = f"revoked {', '.join(map(text.clean, chosen.ids))}"
    context.output.answer({"revoked": chosen.ids}, lambda: context.output.line(words))
    return exits.DONE


def approvals(parser: argparse.ArgumentParser) -> None:
    """Declare `market approvals`."""
    words = parser.add_subparsers(required=True, metavar="list|approve|refuse")
    options.examples(
        parser,
        "market approvals",
        "market approvals approve ada",
        "market approvals refuse eve --reason 'not of this university'",
    )
    listed = words.add_parser("list", help="accounts that wait for your word (also without this word)")
    listed.add_argument("--all", action="store_true", help="and those that have had it")
    listed.set_defaults(run=_list_approvals)
    approved = words.add_parser("approve", help="let accounts have their first credits, and submit jobs")
    approved.add_argument("names", nargs="+", metavar="NAME", help="or the id")
    approved.set_defaults(run=_approve)
    refused = words.add_parser("refuse", help="refuse an account that waits")
    refused.add_argument("names", nargs=1, metavar="NAME", help="or the id")
    refused.add_argument("--reason", required=True, metavar="WORDS", help="told to its owner")
    refused.set_defaults(run=_refuse)
    for leaf in (listed, approved, refused):
        options.common(leaf)


def _list_approvals(context: Context, chosen: argparse.Namespace) -> int:
    routes = context.market.routes
    found = routes.list_approvals(state="all" if chosen.all else "waiting", limit=LONGEST)["approvals"]
    headings = ("name", "e-mail", "since", "state", "reason", "id")
    rows = [
        (
            *(one["username"], text.clean(one["email"]), text.at(one["asked_time"]), one["state"]),
            *(text.clean(one.get("reason") or ""), one["user_id"]),
        )
        for one in found
    ]
    empty = "nobody waits"
    context.output.answer({"approvals": found}, lambda: context.output.table(headings, rows, empty))
    return exits.DONE


def _approve(context: Context, chosen: argparse.Namespace) -> int:
    routes = context.market.routes
    done = [routes.approve_account(user_id) for user_id in _ids(routes, chosen.names)]
    return _told(context, done)


def _refuse(context: Context, chosen: argparse.Namespace) -> int:
    routes = context.market.routes
    body: models.Refusal = {"reason": chosen.reason}
    return _told(context, [routes.refuse_account(user_id, body) for user_id in _ids(routes, chosen.names)])


def _told(context: Context, done: list[models.Approval]) -> int:
    words = ", ".join(f"{one['username']} is {one['state']}" for one in done)
    context.output.answer({"approvals": done}, lambda: context.output.line(words))
    return exits.DONE


def _ids(routes: Routes, names: list[str]) -> list[str]:
    """Return the accounts with these names or ids. Raises SetupError for one that there is not."""
    known: dict[str, str] = {}
    offset = 0
    while page := routes.list_approvals(state="all", limit=LONGEST, offset=offset)["approvals"]:
        known |= {key: one["user_id"] for one in page for key in (one["username"], one["user_id"])}
        offset += len(page)
    if missing := [name for name in names if name not in known]:
        raise SetupError(f"there is no account {text.clean(missing[0])} here: see market approvals --all")
    return list(dict.fromkeys(known[name] for name in names))
