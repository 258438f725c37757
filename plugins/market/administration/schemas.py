"""What administrators send about people."""

from __future__ import annotations

from marshmallow import fields, validate

from market.administration.accounts import FINISH, JOBS
from market.kit.wire import Input, reason_field


class SuspensionSchema(Input):
    """Body of `POST /users/{user_id}/suspend`."""

    reason = reason_field(description="the person is told it when he tries to log in")
    jobs = fields.String(
        load_default=FINISH,
        validate=validate.OneOf(JOBS),
        metadata={"description": "what becomes of his open jobs"},
    )


class ReasonSchema(Input):
    """Body of what needs nothing but a reason: `POST /users/{user_id}/reopen`."""

    reason = reason_field()
