"""What people send and get: registration, login, users, grants."""

from __future__ import annotations

from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from market.kit.errors import BadInputError
from market.kit.money import parse_credits

USERNAME = r"[a-z][a-z0-9_-]{1,31}"
_PASSWORD_MIN, _PASSWORD_MAX = 8, 256
_NAME_RULE = "must be 2 to 32 lower-case letters, digits, '-' and '_', with a letter first"


def loaded(schema: Schema, body: object) -> dict[str, Any]:
    """Return what a body means. Raises BadInputError with the messages by field."""
    try:
        found: dict[str, Any] = schema.load(body)  # type: ignore[arg-type]
    except ValidationError as error:
        raise BadInputError(error.normalized_messages()) from None
    return found


class Input(Schema):
    """Base of what is sent: unknown fields are refused, so that a typo is not silently ignored."""

    class Meta:
        """Options of the schema."""

        unknown = RAISE


def _is_credit(text: str) -> None:
    try:
        parse_credits(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def positive_credits(text: str) -> None:
    """Check a decimal string of credits above zero."""
    _is_credit(text)
    if parse_credits(text) <= 0:
        raise ValidationError("must be more than 0")


class RegistrationSchema(Input):
    """Body of `POST /users`."""

    username = fields.String(required=True, validate=validate.Regexp(f"^{USERNAME}\\Z", error=_NAME_RULE))
    password = fields.String(required=True, validate=validate.Length(_PASSWORD_MIN, _PASSWORD_MAX))
    email = fields.Email(required=True, validate=validate.Length(max=254))


class LoginSchema(Input):
    """Body of `POST /login`."""

    username = fields.String(required=True, validate=validate.Length(max=512))
    password = fields.String(required=True, validate=validate.Length(max=_PASSWORD_MAX * 4))


class TokenSchema(Schema):
    """A token for the header `Authorization: Bearer ...`."""

    access_token = fields.String(required=True)
    token_type = fields.Constant("bearer")
    expires_in = fields.Integer(required=True, metadata={"description": "seconds"})
    user_id = fields.String(required=True)


class UserSchema(Schema):
    """A user of the market."""

    user_id = fields.String(required=True)
    username = fields.String(required=True)
    email = fields.String(required=True)
    is_admin = fields.Boolean(required=True)
    credit = fields.String(required=True, metadata={"description": "the balance, in credits"})
    created_time = fields.Integer(required=True)


class GrantSchema(Input):
    """Body of `POST /users/{user_id}/grants`."""

    amount = fields.String(required=True, validate=positive_credits)
    reason = fields.String(required=True, validate=validate.Length(1, 200))


class RefundSchema(GrantSchema):
    """Body of `POST /jobs/{job_id}/refunds`."""
