"""Projects, their members, and what a month came to."""

from __future__ import annotations

from marshmallow import Schema, fields

from market.kit.vocabulary import PROJECT_ROLES
from market.web.schemas.common import credit, identity, text, time_ms


class ProjectSchema(Schema):
    """A project: what it may spend, and what is in its account."""

    project_id = identity()
    name = text("what `project` of a job names")
    title = text()
    parent_id = identity(allow_none=True)
    role = fields.String(
        allow_none=True,
        metadata={"description": "the caller's: " + ", ".join(PROJECT_ROLES) + "; null for an administrator"},
    )
    budget = credit("the most that it and its sub-projects may spend")
    committed = credit("what they have spent, and what their open jobs may still cost")
    left = credit("of the budget")
    start = time_ms()
    end = time_ms()
    is_open = fields.Boolean(metadata={"description": "whether it pays for new jobs"})
    created_time = time_ms()
    used = credit("spent from its own account")
    balance = credit("of its own account")
    held = credit()
    available = credit()


class ProjectMemberSchema(Schema):
    """Somebody with a role in a project."""

    user_id = identity()
    username = text()
    role = text(", ".join(PROJECT_ROLES))
    month_cap = credit("what his jobs of one month may cost; null: no cap", allow_none=True)
    month_committed = credit("what those of this month cost, or may still")
    since = time_ms()


class TransferredSchema(Schema):
    """A transfer, and what the payer has after it."""

    payer_id = identity()
    payee_id = identity()
    amount = credit()
    reason = text()
    balance = credit("the payer's")


class ReportLineSchema(Schema):
    """What one member's jobs of a month cost one project."""

    project_id = identity()
    project = text()
    user_id = identity()
    username = text()
    jobs = fields.Integer()
    open_jobs = fields.Integer()
    spent = credit("captured, less what came back")
    held = credit("what open jobs may still cost")
    committed = credit("both together")
    cap = credit("of that month; null: none", allow_none=True)


class ReportSchema(Schema):
    """A project's month with its sub-projects; a job belongs to the month (UTC) in which it was submitted."""

    month = fields.Integer(metadata={"description": "like 202611"})
    project_id = identity()
    project = text()
    spent = credit()
    held = credit()
    committed = credit()
    lines = fields.List(fields.Nested(ReportLineSchema))
