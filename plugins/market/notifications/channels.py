"""Which events each person is told of, and how: by mail, at once or in a daily digest, and by webhooks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from market.kit import database
from market.kit.clock import new_id, now_ms
from market.kit.errors import BadInputError, NotFoundError, OverLimitError, UnavailableError
from market.kit.paging import Listing, Page
from market.kit.settings import load
from market.notifications import addresses, webhooks
from market.notifications.kinds import CHOOSABLE
from market.people import confirmation, limits
from market.people.member import Member

ORDERS = ("created_time",)


@dataclass(frozen=True)
class Choices:
    """What somebody is mailed: the kinds at once, and those of the digest."""

    mail: list[str]
    digest: list[str]
    address: str
    mail_enabled: bool
    address_confirmed: bool
    notice: str = ""  # what keeps mail from coming, in words
    failure: str = ""


@dataclass(frozen=True)
class Webhook:
    """A webhook as its owner sees it; `secret` is there once, when it is made."""

    webhook_id: str
    url: str
    kinds: list[str]
    created_ms: int
    failures: int = 0
    failure: str = ""
    delivered_ms: int | None = None
    secret: str | None = None


_WEBHOOK = "channel_id, url, kinds, created_ms, failures, failure, delivered_ms"


def choices(member: Member) -> Choices:
    """Return what somebody has chosen to be mailed."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT kinds, digest_kinds, failure FROM channel WHERE user_id = %s AND way = 'mail'",
            [member.user_id],
        )
        row = cursor.fetchone()
        confirmed = confirmation.state(cursor, member).confirmed
    kinds, digest, failure = row or ([], [], "")
    enabled = load().mail.enabled
    return Choices(
        kinds, digest, member.email, enabled, confirmed, _notice(enabled, confirmed, member), failure
    )


def _notice(enabled: bool, confirmed: bool, member: Member) -> str:
    if not enabled:
        return "This market sends no mail."
    if not confirmed:
        return (
            f"Nothing is mailed to {member.email} until you have confirmed that it is yours, on the page"
            " Account or with market account confirm. What you chose is kept."
        )
    return ""


def choose(member: Member, mail: list[str], digest: list[str]) -> Choices:
    """Have somebody mailed these kinds at once, and those once a day. Raises BadInputError."""
    if both := set(mail) & set(digest):
        raise BadInputError({"digest": [f"has {sorted(both)[0]}, which mail has already"]})
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO channel (channel_id, user_id, way, kinds, digest_kinds, created_ms)"
            " VALUES (%s, %s, 'mail', %s, %s, %s) ON CONFLICT (user_id) WHERE way = 'mail'"
            " DO UPDATE SET kinds = excluded.kinds, digest_kinds = excluded.digest_kinds",
            [new_id(), member.user_id, _ordered(mail), _ordered(digest), now_ms()],
        )
    return choices(member)


def add_webhook(member: Member, url: str, kinds: list[str]) -> dict[str, Any]:
    """Add a webhook; the answer has its secret, this once. Raises BadInputError, OverLimitError."""
    try:
        addresses.check(url)
    except addresses.ForbiddenAddressError as error:
        raise BadInputError({"url": [str(error)]}) from None
    most = load().notifications.webhooks_per_user
    made = Webhook(new_id(), url, _ordered(kinds), now_ms())
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"webhooks {member.user_id}"]
        )
        cursor.execute(
            "SELECT count(*) AS n FROM channel WHERE user_id = %s AND way = 'webhook'", [member.user_id]
        )
        if cursor.fetchone().n >= most:
            raise OverLimitError(f"You have {most} webhooks, the most that there may be. Delete one first.")
        cursor.execute(
            "INSERT INTO channel (channel_id, user_id, way, url, kinds, created_ms)"
            " VALUES (%s, %s, 'webhook', %s, %s, %s)",
            [made.webhook_id, member.user_id, url, made.kinds, made.created_ms],
        )
    return {**vars(made), "secret": webhooks.secret_of(made.webhook_id)}


def list_webhooks(member: Member, page: Page | None = None) -> Listing[Webhook]:
    """Return a page of somebody's webhooks, the newest first unless it says otherwise."""
    page = page or Page()
    with database.transaction() as cursor:
        cursor.execute(
            f"SELECT {_WEBHOOK} FROM channel WHERE user_id = %s AND way = 'webhook' ORDER BY created_ms",  # noqa: S608
            [member.user_id],
        )
        found = [Webhook(*row) for row in cursor.fetchall()]
    if page.descending:
        found.reverse()
    return Listing(found[page.offset : page.offset + page.limit], len(found))


def delete_webhook(member: Member, webhook_id: str) -> None:
    """Delete a webhook, with what waits for it. Raises NotFoundError."""
    with database.transaction() as cursor:
        cursor.execute(
            "DELETE FROM channel WHERE channel_id = %s AND user_id = %s AND way = 'webhook'",
            [webhook_id, member.user_id],
        )
        if not cursor.rowcount:
            raise NotFoundError("There is no such webhook.")


def delete_all(cursor: database.Cursor, user_id: str) -> None:
    """Delete all channels of a member, with what waits for them, in the caller's transaction."""
    cursor.execute("DELETE FROM channel WHERE user_id = %s", [user_id])


def try_webhook(member: Member, webhook_id: str) -> dict[str, Any]:
    """Send a test to a webhook now; return whether it was taken, and how long that took in ms.

    Raises NotFoundError, OverLimitError.
    """
    with database.transaction() as cursor:
        cursor.execute(
            f"SELECT {_WEBHOOK} FROM channel WHERE channel_id = %s AND user_id = %s AND way = 'webhook'",  # noqa: S608
            [webhook_id, member.user_id],
        )
        row = cursor.fetchone()
    if row is None:
        raise NotFoundError("There is no such webhook.")
    limits.webhook_test(member.user_id)
    body = b'{"type": "test", "data": {"text": "This is a test of your webhook."}}'
    began = time.monotonic()
    detail = ""
    try:
        webhooks.send(webhook_id, row.url, new_id(), body)
    except (UnavailableError, addresses.ForbiddenAddressError) as error:
        detail = str(error)
    return {"delivered": not detail, "detail": detail, "took": round((time.monotonic() - began) * 1000)}


def _ordered(kinds: list[str]) -> list[str]:
    return [kind for kind in CHOOSABLE if kind in kinds]
