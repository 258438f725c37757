"""People and the treasury, as administrators see them."""

from __future__ import annotations

from marshmallow import Schema, fields

from market.administration.users import ACTIVE, SUSPENDED
from market.web.schemas.common import credit, identity, text, time_ms


class UserRecordSchema(Schema):
    """A person: state, balances, what is open, when he was here."""

    user_id = identity()
    username = text()
    email = text()
    state = fields.String(metadata={"enum": [ACTIVE, SUSPENDED]})
    suspended_time = time_ms()
    suspended_by = text("the administrator, by name", allow_none=True)
    suspended_because = text(allow_none=True)
    created_time = time_ms()
    last_login_time = time_ms()
    balance = credit()
    held = credit()
    available = credit()
    granted = credit()
    sharing_credit = credit("all earned by lending")
    using_credit = credit("all spent on jobs")
    open_jobs = fields.Integer()
    live_machines = fields.Integer()


class UserPageSchema(Schema):
    """People behind a cursor, those who came last first."""

    users = fields.List(fields.Nested(UserRecordSchema))
    cursor = fields.Integer(
        allow_none=True, metadata={"description": "send it as `after` for the next ones; null: no more"}
    )


class TreasuryDaySchema(Schema):
    """What the treasury gave and got in a day (UTC)."""

    at = time_ms()
    signup = credit("to new people")
    grants = credit("by administrators")
    refunds = credit("by administrators, of what jobs had paid")
    stipends = credit("for idle machines")
    lost_attempts = credit("given back of attempts that the pool lost")
    own_machines = credit("got for the market's own machines")
    issued = credit("given, less got")


class TreasurySchema(Schema):
    """The treasury: its balance, which is below zero by what was issued, and its days, oldest first."""

    balance = credit()
    days = fields.List(fields.Nested(TreasuryDaySchema))
