"""What administrators send to give credits: grants and refunds."""

from __future__ import annotations

from marshmallow import fields, validate

from market.kit.wire import Input, positive_credits, readable


class GrantSchema(Input):
    """Body of `POST /users/{user_id}/grants`."""

    amount = fields.String(required=True, validate=positive_credits)
    reason = fields.String(required=True, validate=[validate.Length(1, 200), readable])


class RefundSchema(GrantSchema):
    """Body of `POST /jobs/{job_id}/refunds`."""
