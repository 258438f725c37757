"""What people send and get: registration, login, users."""

from __future__ import annotations

from marshmallow import Schema, ValidationError, fields, validate

from market.kit.vocabulary import APPROVAL_STATES, TOKEN_SCOPES
from market.kit.wire import Input, readable
from market.people import codes, invitations, opening, passwords, program_tokens

USERNAME = r"[a-z][a-z0-9_-]{1,31}"
_NAME_RULE = "must be 2 to 32 lower-case letters, digits, '-' and '_', with a letter first"


_SHORTEST_TOKEN_S, _TOKEN_LIFETIME_S = 60, 90 * 24 * 3600
_INVITATION_LIFETIME_S, _LONGEST_INVITATION_S = 14 * 24 * 3600, 366 * 24 * 3600
_ANY_PASSWORD = validate.Length(max=passwords.LONGEST * 4)  # of those that were set elsewhere, too


def _new_password() -> fields.String:
    return fields.String(required=True, validate=validate.Length(passwords.SHORTEST, passwords.LONGEST))


def _email() -> fields.Email:
    return fields.Email(required=True, validate=validate.Length(max=254))


def _code() -> fields.String:
    return fields.String(required=True, validate=validate.Length(1, codes.LONGEST))


def _lifetime(seconds: int) -> None:
    longest_s = program_tokens.longest_s()
    if not _SHORTEST_TOKEN_S <= seconds <= longest_s:
        raise ValidationError(f"must be from {_SHORTEST_TOKEN_S} to {longest_s}")


class RegistrationSchema(Input):
    """Body of `POST /users`."""

    username = fields.String(required=True, validate=validate.Regexp(f"^{USERNAME}\\Z", error=_NAME_RULE))
    password = _new_password()
    email = _email()
    invitation = fields.String(
        load_default="",
        validate=validate.Length(max=codes.LONGEST),
        metadata={"description": "the code of an invitation, where people come by invitation only"},
    )


class LoginSchema(Input):
    """Body of `POST /login`."""

    username = fields.String(required=True, validate=validate.Length(max=512))
    password = fields.String(required=True, validate=_ANY_PASSWORD)


class PasswordSchema(Input):
    """Body of `PUT /users/me/password`."""

    old_password = fields.String(required=True, validate=_ANY_PASSWORD)
    new_password = _new_password()


class EmailSchema(Input):
    """Body of `PUT /users/me/email`."""

    password = fields.String(required=True, validate=_ANY_PASSWORD)
    email = _email()


class DeactivationSchema(Input):
    """Body of `POST /users/me/deactivate`."""

    password = fields.String(required=True, validate=_ANY_PASSWORD)
    cancel_jobs = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "open jobs are cancelled; without it there may be none (409, `open_jobs`)"},
    )


class DeactivatedSchema(Schema):
    """An account that its owner has deactivated."""

    user_id = fields.String(required=True)
    username = fields.String(required=True)
    cancelled_jobs = fields.Integer(required=True)
    draining_machines = fields.Integer(required=True)


class DeletionSchema(DeactivationSchema):
    """Body of `DELETE /users/me`."""


class DeletionAskedSchema(DeactivatedSchema):
    """An account whose owner has asked for its deletion: it is deactivated."""

    deletion_time = fields.Integer(
        required=True,
        metadata={"description": "when what is its owner's is removed; until then it can be reopened"},
    )


class DisplayNameSchema(Input):
    """Body of `PUT /users/me/name`."""

    display_name = fields.String(required=True, validate=[validate.Length(1, 64), readable])


class CodeSchema(Input):
    """Body of `POST /users/confirm`."""

    code = _code()


class ResetSchema(Input):
    """Body of `POST /users/reset`."""

    account = fields.String(
        required=True,
        validate=validate.Length(1, 254),
        metadata={"description": "the username or the e-mail address"},
    )


class NewPasswordSchema(Input):
    """Body of `POST /users/reset/password`."""

    code = _code()
    new_password = _new_password()


class InvitationRequestSchema(Input):
    """Body of `POST /invitations`."""

    note = fields.String(
        required=True,
        validate=[validate.Length(1, 200), readable],
        metadata={"description": "for whom it is"},
    )
    uses = fields.Integer(
        strict=True,
        load_default=1,
        validate=validate.Range(1, invitations.MOST_USES),
        metadata={"description": "how many accounts it is good for"},
    )
    lifetime_s = fields.Integer(
        strict=True,
        load_default=_INVITATION_LIFETIME_S,
        validate=validate.Range(_SHORTEST_TOKEN_S, _LONGEST_INVITATION_S),
        metadata={"description": "seconds until it ends"},
    )


class RefusalSchema(Input):
    """Body of `POST /approvals/{user_id}/refuse`."""

    reason = fields.String(
        required=True,
        validate=[validate.Length(1, 300), readable],
        metadata={"description": "told to the owner of the account"},
    )


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
    display_name = fields.String(required=True)
    email = fields.String(required=True)
    email_confirmed = fields.Boolean(
        required=True,
        metadata={"description": "only to such an address events are mailed, and new passwords"},
    )
    new_email = fields.String(
        allow_none=True, metadata={"description": "takes the place of email when it is confirmed"}
    )
    email_failure = fields.String(
        metadata={"description": "why the last mail with a code could not be sent, if it could not"}
    )
    approval = fields.String(
        allow_none=True,
        metadata={
            "enum": list(APPROVAL_STATES),
            "description": "what an administrator says of the account; null: it needs no word",
        },
    )
    approval_reason = fields.String()
    credit_waits_for = fields.String(
        allow_none=True,
        metadata={"enum": list(opening.WAITS), "description": "what the first credits still wait for"},
    )
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


class AskedSchema(Schema):
    """That something was asked for."""

    detail = fields.String(required=True)


class InvitationSchema(Schema):
    """An invitation, without its code."""

    invitation_id = fields.String(required=True)
    note = fields.String(required=True)
    uses = fields.Integer(required=True, metadata={"description": "how many accounts it is good for"})
    used = fields.Integer(required=True, metadata={"description": "how many were made with it"})
    made_by = fields.String(required=True)
    created_time = fields.Integer(required=True, attribute="created_ms")
    expires_time = fields.Integer(required=True, attribute="expires_ms")
    revoked_time = fields.Integer(allow_none=True, attribute="revoked_ms")


class NewInvitationSchema(InvitationSchema):
    """An invitation with its code, which is shown this once."""

    code = fields.String(required=True)


class ApprovalSchema(Schema):
    """An account, and what an administrator has said of it."""

    user_id = fields.String(required=True)
    username = fields.String(required=True)
    email = fields.String(required=True)
    state = fields.String(required=True, metadata={"enum": list(APPROVAL_STATES)})
    asked_time = fields.Integer(required=True, attribute="asked_ms")
    decided_time = fields.Integer(allow_none=True, attribute="decided_ms")
    decided_by = fields.String(allow_none=True)
    reason = fields.String()
