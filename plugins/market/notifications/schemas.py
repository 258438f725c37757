"""What people send to be told of events."""

from __future__ import annotations

from marshmallow import fields, validate

from market.kit.wire import Input
from market.notifications.kinds import CHOOSABLE


def _kinds(description: str) -> fields.List:
    return fields.List(
        fields.String(validate=validate.OneOf(CHOOSABLE)),
        required=True,
        validate=validate.Length(max=len(CHOOSABLE)),
        metadata={"description": description},
    )


class ChoicesInput(Input):
    """Body of `PUT /users/me/notifications`."""

    mail = _kinds("kinds of events that are mailed at once")
    digest = _kinds("kinds of events that are mailed together, once a day")


class WebhookInput(Input):
    """Body of `POST /users/me/webhooks`."""

    url = fields.String(required=True, validate=validate.Length(1, 2048))
    kinds = _kinds("kinds of events that it is sent")
