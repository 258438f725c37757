"""Events, and who is told of them."""

from __future__ import annotations

from marshmallow import Schema, fields

from market.notifications.kinds import KINDS
from market.web.schemas.common import identity, text, time_ms

_KIND = {"enum": list(KINDS)}


class EventSchema(Schema):
    """Something that happened to the caller's jobs, machines or credits."""

    event_id = identity()
    position = fields.Integer(metadata={"description": "the cursor behind it"})
    at = time_ms(attribute="at_ms")
    kind = fields.String(metadata=_KIND)
    text = text("the event in one line", attribute="sentence")
    job_id = identity(allow_none=True)
    machine_id = identity(allow_none=True)
    data = fields.Dict(metadata={"description": "figures and words, by kind"})


class EventPageSchema(Schema):
    """Some events in their order, and where to go on."""

    events = fields.List(fields.Nested(EventSchema))
    cursor = fields.Integer(metadata={"description": "of the last one: `after` for what comes then"})


class ChoicesSchema(Schema):
    """What the caller is mailed."""

    mail = fields.List(fields.String(metadata=_KIND))
    digest = fields.List(fields.String(metadata=_KIND))
    address = text("where to")
    mail_enabled = fields.Boolean(metadata={"description": "whether this market sends mail"})
    address_confirmed = fields.Boolean(
        metadata={"description": "whether its owner has confirmed it: else nothing is mailed there"}
    )
    notice = text("what keeps mail from coming, if something does")
    failure = text("why the last mail could not be delivered, if it could not")


class WebhookSchema(Schema):
    """A webhook, without its secret."""

    webhook_id = identity()
    url = text()
    kinds = fields.List(fields.String(metadata=_KIND))
    created_time = time_ms(attribute="created_ms")
    failures = fields.Integer(metadata={"description": "one after the other, until now"})
    failure = text("the last one, in words")
    delivered_time = time_ms(attribute="delivered_ms")


class NewWebhookSchema(WebhookSchema):
    """A webhook just made: the only answer that has its secret."""

    secret = text("what its messages are signed with, as whsec_BASE64")


class WebhookTestSchema(Schema):
    """What became of a test."""

    delivered = fields.Boolean()
    detail = text("why not")
    took = fields.Integer(metadata={"description": "ms"})
