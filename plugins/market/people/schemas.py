"""What people send and get: registration, login, users."""

from __future__ import annotations

from marshmallow import Schema, ValidationError, fields, validate

from market.kit.vocabulary import TOKEN_SCOPES
from market.kit.wire import Input, readable
from market.people import passwords, program_tokens

USERNAME = r"[a-z][a-z0-9_-]{1,31}"
_NAME_RULE = "must be 2 to 32 lower-case letters, digits, '-' and '_', with a letter first"


_SHORTEST_TOKEN_S, _TOKEN_LIFETIME_S = 60, 90 * 24 * 3600
_ANY_PASSWORD = validate.Length(max=passwords.LONGEST * 4)  # of those that were set elsewhere, too


def _new_password() -> fields.String:
    return fields.String(required=True, validate=validate.Length(passwords.SHORTEST, passwords.LONGEST))


def _lifetime(seconds: int) -> None:
    longest_s = program_tokens.longest_s()
    if not _SHORTEST_TOKEN_S <= seconds <= longest_s:
        raise ValidationError(f"must be from {_SHORTEST_TOKEN_S} to {longest_s}")


class RegistrationSchema(Input):
    """Body of `POST /users`."""

    username = fields.String(required=True, validate=validate.Regexp(f"^{USERNAME}\\Z", error=_NAME_RULE))
    password = _new_password()
    email = fields.Email(required=True, validate=validate.Length(max=254))


class LoginSchema(Input):
    """Body of `POST /login`."""

    username = fields.String(required=True, validate=validate.Length(max=512))
    password = fields.String(required=True, validate=_ANY_PASSWORD)


class PasswordSchema(Input):
    """Body of `PUT /users/me/password`."""

    old_password = fields.String(required=True, validate=_ANY_PASSWORD)
    new_password = _new_password()


class ProgramTokenRequestSchema(Input):
    """Body of `POST /users/me/tokens`."""

    name = fields.String(required=True, validate=[validate.Length(1, 64), readable])
    scopes = fields.List(
        fields.String(validate=validate.OneOf(TOKEN_SCOPES)),
        required=True,
        validate=validate.Length(1, len(TOKEN_SCOPES)),
        metadata={"description": "what it may be used for"},
    )
    lifetime_s = fields.Integer(
        strict=True,
        load_default=_TOKEN_LIFETIME_S,
        validate=_lifetime,
        metadata={"description": "seconds until it ends", "minimum": _SHORTEST_TOKEN_S},
    )


class TokenSchema(Schema):
    """A token for the header `Authorization: Bearer ...`."""

    access_token = fields.String(required=True)
    token_type = fields.Constant("bearer")
    expires_in = fields.Integer(required=True, metadata={"description": "seconds"})
    user_id = fields.String(required=True)


class ProgramTokenSchema(Schema):
    """A token for a program, without its text."""

    token_id = fields.String(required=True)
    name = fields.String(required=True)
    scopes = fields.List(fields.String(metadata={"enum": list(TOKEN_SCOPES)}), required=True)
    created_time = fields.Integer(required=True, attribute="created_ms")
    expires_time = fields.Integer(required=True, attribute="expires_ms")
    last_used_time = fields.Integer(allow_none=True, attribute="last_used_ms")


class NewProgramTokenSchema(ProgramTokenSchema):
    """A token for a program with its text, which is shown this once."""

    token = fields.String(required=True)


class UserSchema(Schema):
    """A user of the market."""

    user_id = fields.String(required=True)
    username = fields.String(required=True)
    email = fields.String(required=True)
    is_admin = fields.Boolean(required=True)
    credit = fields.String(required=True, metadata={"description": "the balance, in credits"})
    created_time = fields.Integer(required=True)


class MoveSchema(Input):
    """Body of `POST /files/{path}`."""

    to = fields.String(required=True, metadata={"description": "the new path, relative to the home"})


class FolderSchema(Input):
    """Body of `POST /folders`."""

    path = fields.String(required=True, metadata={"description": "relative to the home"})


class SecretValueSchema(Input):
    """Body of `PUT /secrets/{name}`."""

    value = fields.String(required=True)
