"""Routes on events: reading them from a cursor on, and choosing what one is told of."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Response

from market.kit.paging import Page
from market.notifications import channels, feed
from market.notifications.schemas import ChoicesInput, WebhookInput
from market.web.api import query, routing
from market.web.api.caller import Caller
from market.web.schemas.notifications import (
    ChoicesSchema,
    EventPageSchema,
    NewWebhookSchema,
    WebhookSchema,
    WebhookTestSchema,
)

router = routing.router()

_PAGING = query.Paging(*channels.ORDERS)
_AFTER = query.Whole("after", "the cursor of an earlier answer; 0: from the beginning", 0, 2**62, default=0)


@router.get(
    "/events",
    tags=["notifications"],
    openapi_extra=routing.described(gives=EventPageSchema, parameters=(query.LIMIT, _AFTER)),
)
def list_events(request: Request, member: Caller) -> dict[str, Any]:
    """List one's own events behind a cursor, the oldest first; administrators' with the alerts."""
    after, limit = _AFTER.read(request) or 0, query.LIMIT.read(request) or Page.limit
    events = feed.after(member, after, limit)
    cursor = events[-1].position if events else after
    return routing.dumped(EventPageSchema, {"events": events, "cursor": cursor})


@router.get(
    "/users/me/notifications", tags=["notifications"], openapi_extra=routing.described(gives=ChoicesSchema)
)
def notifications(member: Caller) -> dict[str, Any]:
    """Return what one is mailed."""
    return routing.dumped(ChoicesSchema, channels.choices(member))


@router.put(
    "/users/me/notifications",
    tags=["notifications"],
    openapi_extra=routing.described(ChoicesInput, ChoicesSchema),
)
def choose_notifications(
    member: Caller, body: Annotated[dict[str, Any], routing.body(ChoicesInput)]
) -> dict[str, Any]:
    """Choose what one is mailed at once, and what in a daily digest; all else is not mailed."""
    return routing.dumped(ChoicesSchema, channels.choose(member, **body))


@router.get(
    "/users/me/webhooks",
    tags=["notifications"],
    openapi_extra=routing.described(gives=WebhookSchema, plural="webhooks", parameters=_PAGING.parameters),
)
def list_webhooks(member: Caller, page: Annotated[Page, _PAGING.page]) -> dict[str, Any]:
    """List one's webhooks."""
    return routing.listed("webhooks", WebhookSchema, channels.list_webhooks(member, page))


@router.post(
    "/users/me/webhooks",
    status_code=201,
    tags=["notifications"],
    # No answer is kept for a twin: it holds the secret.
    openapi_extra=routing.described(WebhookInput, NewWebhookSchema, refuses=(429,), keyed=False),
)
def add_webhook(
    member: Caller, body: Annotated[dict[str, Any], routing.body(WebhookInput)]
) -> dict[str, Any]:
    """Add a webhook; its secret is in this answer alone."""
    return routing.dumped(NewWebhookSchema, channels.add_webhook(member, **body))


@router.delete(
    "/users/me/webhooks/{webhook_id}",
    status_code=204,
    tags=["notifications"],
    openapi_extra=routing.described(refuses=(404,)),
)
def delete_webhook(member: Caller, webhook_id: routing.WebhookId) -> Response:
    """Delete a webhook, with what waits for it."""
    channels.delete_webhook(member, webhook_id)
    return Response(status_code=204)


@router.post(
    "/users/me/webhooks/{webhook_id}/test",
    tags=["notifications"],
    openapi_extra=routing.described(gives=WebhookTestSchema, refuses=(404, 429), keyed=False),
)
def try_webhook(member: Caller, webhook_id: routing.WebhookId) -> dict[str, Any]:
    """Send a test to a webhook now, and tell what became of it."""
    return routing.dumped(WebhookTestSchema, channels.try_webhook(member, webhook_id))
