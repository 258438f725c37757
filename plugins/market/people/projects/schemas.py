"""What people send about projects."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate

from market.kit.money import parse_credits
from market.kit.vocabulary import PROJECT_ROLES
from market.kit.wire import Input, positive_credits, readable

PROJECT_NAME = r"[a-z][a-z0-9_-]{1,31}"
_NAME_RULE = "must be 2 to 32 lower-case letters, digits, '-' and '_', with a letter first"
_LATEST_MS = 253_402_300_799_999  # the end of the year 9999
_TIME = "epoch milliseconds"


def _not_negative(text: str) -> None:
    try:
        parse_credits(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None
    if text.startswith("-"):
        raise ValidationError("must not be negative")


def _time(**options: Any) -> fields.Integer:
    return fields.Integer(
        strict=True, validate=validate.Range(0, _LATEST_MS), metadata={"description": _TIME}, **options
    )


class ProjectBudgetSchema(Input):
    """Body of `PUT /projects/{project_id}`: what is not given stays as it is."""

    title = fields.String(validate=[validate.Length(1, 200), readable])
    budget = fields.String(
        validate=_not_negative, metadata={"description": "the most that it and its sub-projects may spend"}
    )
    start = _time()
    end = _time()


class NewProjectSchema(ProjectBudgetSchema):
    """Body of `POST /projects`; without a start it begins now."""

    name = fields.String(required=True, validate=validate.Regexp(f"^{PROJECT_NAME}\\Z", error=_NAME_RULE))
    budget = fields.String(
        required=True,
        validate=_not_negative,
        metadata={"description": "the most that it and its sub-projects may spend"},
    )
    end = _time(required=True)
    parent_id = fields.String(
        validate=validate.Regexp(r"^[0-9a-f]{32}\Z", error="must be the id of a project"),
        metadata={"description": "the project that it is a part of"},
    )


class ProjectMemberInputSchema(Input):
    """Body of `PUT /projects/{project_id}/members/{username}`."""

    role = fields.String(required=True, validate=validate.OneOf(PROJECT_ROLES))
    month_cap = fields.String(
        validate=_not_negative,
        metadata={"description": "the most that his jobs of one month (UTC) may cost; without it no cap"},
    )


class TransferSchema(Input):
    """Body of `POST /transfers`: accounts are members' and projects' ids."""

    payer_id = fields.String(required=True, validate=validate.Length(max=32))
    payee_id = fields.String(required=True, validate=validate.Length(max=32))
    amount = fields.String(required=True, validate=positive_credits)
    reason = fields.String(required=True, validate=[validate.Length(1, 200), readable])
