"""What people send and get: registration, login, users."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from market.kit.wire import Input

USERNAME = r"[a-z][a-z0-9_-]{1,31}"
_PASSWORD_MIN, _PASSWORD_MAX = 8, 256
_NAME_RULE = "must be 2 to 32 lower-case letters, digits, '-' and '_', with a letter first"


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
