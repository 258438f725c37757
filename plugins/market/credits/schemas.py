"""What administrators send to give credits: grants and refunds."""

from __future__ import annotations

from marshmallow import fields

from market.kit.wire import Input, positive_credits, reason_field


class GrantSchema(Input):
    """Body of `POST /users/{user_id}/grants`."""

    amount = fields.String(required=True, validate=positive_credits)
    reason = reason_field()


class RefundSchema(GrantSchema):
    """Body of `POST /jobs/{job_id}/refunds`."""
