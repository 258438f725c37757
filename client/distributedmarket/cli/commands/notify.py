"""`market notify`: what one is told of, and how; `market events`: what has happened."""

from __future__ import annotations

import argparse
import time

from distributedmarket.cli import exits, options, text
from distributedmarket.cli.context import Context
from distributedmarket.sdk import models
from distributedmarket.sdk.pages import LONGEST

_FOLLOW_S = 2.0


def notify(parser: argparse.ArgumentParser) -> None:
    """Declare `market notify`."""
    words = parser.add_subparsers(required=True, metavar="show|mail|hook|unhook|test")
    options.examples(
        parser,
        "market notify show",
        "market notify mail job_failed machine_lost --digest job_ended",
        "market notify hook https://example.org/market job_ended job_failed",
        "market notify test 3f2a91c0",
    )
    shown = words.add_parser("show", help="what you are mailed, and your webhooks (also without this word)")
    shown.set_defaults(run=_show)
    mailed = words.add_parser("mail", help="choose what you are mailed; nothing, without a kind")
    mailed.add_argument("kinds", nargs="*", metavar="KIND", help="mailed at once, as job_failed")
    mailed.add_argument("--digest", nargs="*", default=[], metavar="KIND", help="mailed together, once a day")
    mailed.set_defaults(run=_mail)
    hooked = words.add_parser("hook", help="send events to a web address")
    hooked.add_argument("url", metavar="URL")
    hooked.add_argument("kinds", nargs="+", metavar="KIND")
    hooked.set_defaults(run=_hook)
    unhooked = words.add_parser("unhook", help="delete a webhook")
    tested = words.add_parser("test", help="send a test to a webhook now")
    for leaf, run in ((unhooked, _unhook), (tested, _test)):
        leaf.add_argument("webhook", metavar="WEBHOOK", help="its id, or the last digits of it")
        leaf.set_defaults(run=run)
    for leaf in (shown, mailed, hooked, unhooked, tested):
        options.common(leaf)


def _show(context: Context, chosen: argparse.Namespace) -> int:
    routes = context.market.routes
    mailed, hooks = routes.notifications(), routes.list_webhooks(limit=LONGEST)["webhooks"]

    def show() -> None:
        context.output.figures(_choices(mailed))
        rows = [
            (text.short(hook["webhook_id"]), hook["url"], " ".join(hook["kinds"]), _state(hook))
            for hook in hooks
        ]
        if rows:
            context.output.line()
            context.output.table(("webhook", "address", "kinds", "state"), rows, "")

    context.output.answer({**mailed, "webhooks": hooks}, show)
    return exits.DONE


def _choices(mailed: models.Choices) -> list[tuple[str, str]]:
    return [
        ("mailed", " ".join(mailed["mail"]) or "nothing"),
        ("once a day", " ".join(mailed["digest"]) or "nothing"),
        ("address", mailed["address"]),
        ("", "" if mailed["mail_enabled"] else "this market sends no mail"),
        ("last failure", mailed.get("failure") or ""),
    ]


def _state(hook: models.Webhook) -> str:
    if hook.get("failures"):
        return f"failed {hook['failures']} times: {hook.get('failure', '')}"
    return f"delivered {text.at(hook['delivered_time'])}" if hook.get("delivered_time") else "new"


def _mail(context: Context, chosen: argparse.Namespace) -> int:
    body: models.ChoicesInput = {"mail": chosen.kinds, "digest": chosen.digest}
    mailed = context.market.routes.choose_notifications(body)
    context.output.answer(mailed, lambda: context.output.figures(_choices(mailed)))
    return exits.DONE


def _hook(context: Context, chosen: argparse.Namespace) -> int:
    made = context.market.routes.add_webhook({"url": chosen.url, "kinds": chosen.kinds})
    pairs = [("webhook", made["webhook_id"]), ("secret", f"{made['secret']}  (shown this once)")]
    context.output.answer(made, lambda: context.output.figures(pairs))
    return exits.DONE


def _unhook(context: Context, chosen: argparse.Namespace) -> int:
    context.market.routes.delete_webhook(_id_of(context, chosen.webhook))
    context.output.answer({}, lambda: context.output.line("deleted"))
    return exits.DONE


def _test(context: Context, chosen: argparse.Namespace) -> int:
    found = context.market.routes.try_webhook(_id_of(context, chosen.webhook))
    words = f"delivered in {found['took']} ms" if found["delivered"] else text.clean(found["detail"])
    context.output.answer(found, lambda: context.output.line(words))
    return exits.DONE if found["delivered"] else exits.REFUSED


def _id_of(context: Context, given: str) -> str:
    """Return the id of the one webhook that ends so, else what was given: the market says what it is."""
    hooks = context.market.routes.list_webhooks(limit=LONGEST)["webhooks"]
    found = [hook["webhook_id"] for hook in hooks if hook["webhook_id"].endswith(given)]
    return found[0] if len(found) == 1 else given


def events(parser: argparse.ArgumentParser) -> None:
    """Declare `market events`."""
    parser.add_argument("--after", type=int, default=0, metavar="CURSOR", help="only what came behind it")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    options.examples(parser, "market events", "market events -f", "market events --after 1234 --json")
    parser.set_defaults(run=_events)


def _events(context: Context, chosen: argparse.Namespace) -> int:
    after, found = chosen.after, list[models.Event]()
    while True:
        page = context.market.routes.list_events(after=after, limit=LONGEST)
        after = page["cursor"]
        if chosen.follow or not context.output.as_json:
            for event in page["events"]:
                _print(context, event)
        found += [] if chosen.follow else page["events"]
        if len(page["events"]) == LONGEST:
            continue
        if not chosen.follow:
            break
        time.sleep(_FOLLOW_S)
    if context.output.as_json:
        context.output.answer({"events": found, "cursor": after}, lambda: None)
    return exits.DONE


def _print(context: Context, event: models.Event) -> None:
    line = f"{text.at(event['at'])}  {event['kind']:16}  {text.clean(event['text'])}"
    if context.output.as_json:
        context.output.answer(event, lambda: None)
    else:
        context.output.line(line)
