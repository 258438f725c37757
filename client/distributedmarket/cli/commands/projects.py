"""`market projects`: budgets that several members spend from."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from distributedmarket.cli import exits, find, options, text
from distributedmarket.cli.context import Context, confirmed
from distributedmarket.errors import SetupError
from distributedmarket.sdk import models
from distributedmarket.sdk.pages import rows

WORDS = ("list", "show", "new", "change", "add", "remove", "pay", "statement", "report")
_ROLES = ("owner", "manager", "member", "viewer")
_CHUNK = 1 << 16


def projects(parser: argparse.ArgumentParser) -> None:
    """Declare `market projects`."""
    words = parser.add_subparsers(required=True, metavar="|".join(WORDS))
    options.examples(
        parser,
        "market projects",
        "market projects new digits --budget 50 --end 2027-01-01",
        "market projects add digits ada --role member --month-cap 5",
        "market projects pay digits 10 --reason 'for the trees'",
        "market run --project digits train.py",
        "market projects report digits --month 2026-11",
    )
    leaves = [words.add_parser("list", help="list those in which you have a role (also without this word)")]
    leaves[-1].set_defaults(run=_list)
    leaves.append(_named(words.add_parser("show", help="its budget, its account and its members")))
    leaves[-1].set_defaults(run=_show)
    leaves.append(_named(words.add_parser("new", help="make one")))
    leaves[-1].add_argument("--budget", required=True, metavar="CREDITS", help="the most that it may spend")
    leaves[-1].add_argument("--end", required=True, type=_day, metavar="DAY", help="as 2027-01-01 (UTC)")
    leaves[-1].add_argument("--start", type=_day, metavar="DAY", help="when it begins (default: now)")
    leaves[-1].add_argument("--title", metavar="TEXT", help="words about it")
    leaves[-1].add_argument("--parent", metavar="PROJECT", help="the project that it is a part of")
    leaves[-1].set_defaults(run=_new)
    leaves.append(_named(words.add_parser("change", help="give it another budget, time or title")))
    leaves[-1].add_argument("--budget", metavar="CREDITS", help="the most that it may spend")
    leaves[-1].add_argument("--end", type=_day, metavar="DAY", help="as 2027-01-01 (UTC)")
    leaves[-1].add_argument("--start", type=_day, metavar="DAY", help="when it begins")
    leaves[-1].add_argument("--title", metavar="TEXT", help="words about it")
    leaves[-1].set_defaults(run=_change)
    leaves.append(_named(words.add_parser("add", help="give somebody a role and a cap, or other ones")))
    leaves[-1].add_argument("username", metavar="NAME")
    leaves[-1].add_argument("--role", choices=_ROLES, default="member", help="(member)")
    leaves[-1].add_argument(
        "--month-cap", metavar="CREDITS", help="for his jobs of one month (default: none)"
    )
    leaves[-1].set_defaults(run=_add)
    leaves.append(_named(words.add_parser("remove", help="take somebody out, or leave it")))
    leaves[-1].add_argument("username", metavar="NAME")
    leaves[-1].add_argument("--yes", action="store_true", help="do not ask")
    leaves[-1].set_defaults(run=_remove)
    leaves.append(_named(words.add_parser("pay", help="transfer credits into it, or from it")))
    leaves[-1].add_argument("amount", metavar="CREDITS")
    leaves[-1].add_argument("--reason", required=True, metavar="TEXT")
    leaves[-1].add_argument("--from", dest="payer", metavar="PROJECT", help="default: your own account")
    leaves[-1].add_argument("--to-member", metavar="NAME", help="from the project to one of its members")
    leaves[-1].set_defaults(run=_pay)
    leaves.append(_named(words.add_parser("statement", help="every posting of its account")))
    leaves[-1].add_argument("--format", choices=("csv", "beancount"), help="in another form")
    leaves[-1].set_defaults(run=_statement)
    leaves.append(_named(words.add_parser("report", help="what a month came to, by member")))
    leaves[-1].add_argument("--month", type=_month, metavar="MONTH", help="as 2026-11 (default: this one)")
    leaves[-1].add_argument("--format", choices=("csv",), help="in another form")
    leaves[-1].set_defaults(run=_report)
    for leaf in leaves:
        options.common(leaf)


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("project", metavar="PROJECT", help="its name")
    return parser


def _day(word: str) -> int:
    """Return the epoch milliseconds of a day's beginning (UTC), for argparse."""
    try:
        return int(datetime.strptime(word, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r}: write it as 2027-01-01") from None


def _month(word: str) -> int:
    """Return a month as the market takes it, for argparse."""
    try:
        return int(datetime.strptime(word, "%Y-%m").strftime("%Y%m"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r}: write it as 2026-11") from None


def _members(context: Context, project_id: str) -> list[models.ProjectMember]:
    routes = context.market.routes

    def ask(limit: int, offset: int) -> Mapping[str, Any]:
        return routes.list_project_members(project_id, limit=limit, offset=offset)

    return [*rows(ask, "members")]


def _list(context: Context, chosen: argparse.Namespace) -> int:
    found = find.projects(context.market)
    lines = [
        (
            one["name"],
            one.get("role") or "",
            "open" if one["is_open"] else "closed",
            *(text.credits(one[name]) for name in ("budget", "left", "available")),
            text.at(one["end"]),
        )
        for one in found
    ]
    headings = ("project", "role", "state", ">budget", ">left", ">in its account", "until")
    nothing = "no projects yet: market projects new NAME makes one"
    context.output.answer({"projects": found}, lambda: context.output.table(headings, lines, nothing))
    return exits.DONE


def _show(context: Context, chosen: argparse.Namespace) -> int:
    found = find.project(context.market, chosen.project)
    members = _members(context, found["project_id"])
    pairs = [
        ("project", found["name"]),
        ("title", found["title"]),
        ("id", found["project_id"]),
        ("your role", found.get("role") or ""),
        ("from", text.at(found["start"])),
        ("until", text.at(found["end"])),
        ("budget", f"{text.credits(found['left'])} left of {text.credits(found['budget'])}"),
        ("account", f"{text.credits(found['available'])} available, {text.credits(found['held'])} held"),
    ]
    lines = [
        (
            one["username"],
            one["role"],
            text.credits(one["month_committed"]),
            text.credits(one.get("month_cap")),
        )
        for one in members
    ]

    def show() -> None:
        context.output.figures(pairs)
        context.output.table(("member", "role", ">this month", ">cap"), lines, "no members")

    context.output.answer({**found, "members": members}, show)
    return exits.DONE


def _given(chosen: argparse.Namespace) -> dict[str, object]:
    given = {name: getattr(chosen, name) for name in ("title", "budget", "start", "end")}
    return {name: value for name, value in given.items() if value is not None}


def _new(context: Context, chosen: argparse.Namespace) -> int:
    body = {"name": chosen.project, **_given(chosen)}
    if chosen.parent:
        body["parent_id"] = find.project(context.market, chosen.parent)["project_id"]
    made = context.market.routes.create_project(body)  # type: ignore[arg-type]
    words = f"project {made['name']} made; transfer credits into it with market projects pay {made['name']}"
    context.output.answer(made, lambda: context.output.line(words))
    return exits.DONE


def _change(context: Context, chosen: argparse.Namespace) -> int:
    if not (given := _given(chosen)):
        raise SetupError("change what? Give --budget, --start, --end or --title")
    project_id = find.project(context.market, chosen.project)["project_id"]
    made = context.market.routes.change_project(project_id, given)  # type: ignore[arg-type]
    words = f"project {made['name']} may spend {text.credits(made['budget'])} until {text.at(made['end'])}"
    context.output.answer(made, lambda: context.output.line(words))
    return exits.DONE


def _add(context: Context, chosen: argparse.Namespace) -> int:
    body: models.ProjectMemberInput = {"role": chosen.role}
    if chosen.month_cap is not None:
        body["month_cap"] = chosen.month_cap
    project_id = find.project(context.market, chosen.project)["project_id"]
    made = context.market.routes.put_project_member(project_id, chosen.username, body)
    words = f"{text.clean(made['username'])} is {made['role']} of {chosen.project}"
    context.output.answer(made, lambda: context.output.line(words))
    return exits.DONE


def _remove(context: Context, chosen: argparse.Namespace) -> int:
    project_id = find.project(context.market, chosen.project)["project_id"]
    if not confirmed(f"Take {text.clean(chosen.username)} out of {chosen.project}?", chosen.yes):
        return exits.REFUSED
    context.market.routes.delete_project_member(project_id, chosen.username)
    words = f"{text.clean(chosen.username)} is out of {chosen.project}; open jobs go on, and it pays for them"
    context.output.answer({"username": chosen.username}, lambda: context.output.line(words))
    return exits.DONE


def _pay(context: Context, chosen: argparse.Namespace) -> int:
    project_id = find.project(context.market, chosen.project)["project_id"]
    payer_id, payee_id = context.market.user_id, project_id
    if chosen.to_member:
        ids = {one["username"]: one["user_id"] for one in _members(context, project_id)}
        if chosen.to_member not in ids:
            raise SetupError(f"{text.clean(chosen.to_member)} is no member of {chosen.project}")
        payer_id, payee_id = project_id, ids[chosen.to_member]
    elif chosen.payer:
        payer_id = find.project(context.market, chosen.payer)["project_id"]
    body: models.Transfer = {
        "payer_id": payer_id,
        "payee_id": payee_id,
        "amount": chosen.amount,
        "reason": chosen.reason,
    }
    made = context.market.routes.create_transfer(body)
    words = (
        f"{text.credits(made['amount'])} credits transferred; the payer has {text.credits(made['balance'])}"
    )
    context.output.answer(made, lambda: context.output.line(words))
    return exits.DONE


def _statement(context: Context, chosen: argparse.Namespace) -> int:
    routes, project_id = context.market.routes, find.project(context.market, chosen.project)["project_id"]
    if chosen.format:
        with routes.get_project_statement_as(project_id, chosen.format) as answer:
            for chunk in answer.iter_content(_CHUNK):
                sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return exits.DONE
    found = routes.get_project_statement(project_id)
    lines = [
        (
            text.at(line["at"]),
            line["kind"],
            line.get("submitter") or "",
            _subject(line),
            text.credits(line["amount"]),
            text.credits(line["balance"]),
        )
        for line in found["lines"]
    ]
    headings = ("at", "kind", "submitted by", "for", ">credits", ">balance")
    context.output.answer(found, lambda: context.output.table(headings, lines, "no postings yet"))
    return exits.DONE


def _subject(line: models.StatementLine) -> str:
    job_id = line.get("job_id")
    return f"job {text.short(job_id)}" if job_id else line.get("note", "")


def _report(context: Context, chosen: argparse.Namespace) -> int:
    routes, project_id = context.market.routes, find.project(context.market, chosen.project)["project_id"]
    if chosen.format:
        with routes.get_project_report_as(project_id, chosen.format, month=chosen.month) as answer:
            sys.stdout.buffer.write(answer.content)
        sys.stdout.buffer.flush()
        return exits.DONE
    found = routes.get_project_report(project_id, month=chosen.month)
    lines = [
        (
            line["project"],
            line["username"],
            str(line["jobs"]),
            text.credits(line["spent"]),
            text.credits(line["held"]),
            text.credits(line.get("cap")),
        )
        for line in found["lines"]
    ]

    def show() -> None:
        headings = ("project", "member", ">jobs", ">spent", ">held", ">cap")
        context.output.table(headings, lines, "no jobs in this month")
        context.output.line(f"{text.credits(found['committed'])} credits in all")

    context.output.answer(found, show)
    return exits.DONE
