"""Credits, prices, settlements."""

from __future__ import annotations

from marshmallow import Schema, fields

from market.web.schemas.common import credit, identity, text, time_ms


class CreditsSchema(Schema):
    """A user's account: balance = grants + sharing - using + transferred, available = balance - held."""

    user_id = identity()
    sharing_credit = credit("all earned by lending")
    using_credit = credit("all spent on jobs")
    granted = credit()
    transferred = credit("from other accounts, less what went to them")
    balance = credit()
    held = credit()
    available = credit()
    owed = credit("to be given back of attempts that one's machine lost: taken from the next earnings")
    rate = credit("the current rate")


class GrantedSchema(Schema):
    """A grant, and the balance after it."""

    user_id = identity()
    amount = credit()
    reason = text()
    balance = credit()


class RefundedSchema(Schema):
    """A refund of what a job has paid."""

    job_id = identity()
    user_id = identity()
    amount = credit()
    reason = text()
    refunded = credit("all that was given back for the job by now")


class StatementLineSchema(Schema):
    """One posting, with the balance after it."""

    at = time_ms()
    kind = text()
    amount = credit()
    balance = credit()
    job_id = identity(allow_none=True)
    machine_id = identity(allow_none=True)
    note = text()
    payer = text("of a job: the project that pays, or who submitted it", allow_none=True)
    submitter = text("of a job: who submitted it", allow_none=True)


class StatementSchema(Schema):
    """All postings of an account, oldest first."""

    lines = fields.List(fields.Nested(StatementLineSchema))
    total = fields.Integer()


class RateSchema(Schema):
    """The rate that an interval set."""

    at = time_ms()
    rate = credit()


class PriceSchema(Schema):
    """The rate now, what a core and a GiB cost for an hour, and the history of the rate."""

    rate = credit()
    at = time_ms()
    types = fields.Dict()
    history = fields.List(fields.Nested(RateSchema))
    total = fields.Integer()


class SettlementSchema(Schema):
    """A settled interval, and what moved in it. What is not known yet is null: its steps are under way."""

    interval_id = fields.Integer()
    since = time_ms()
    until = time_ms()
    rate = credit("the rate from its end on", allow_none=True)
    utilisation = credit("what was wanted of the pool, as a share of what was there", allow_none=True)
    captured = credit("charged for jobs")
    fee = credit("of it, what the market kept")
    paid = credit("of it, what machines brought in")
    paid_to_lenders = credit("of that, what their owners got")
    paid_to_treasury = credit("of that, what the market's own machines brought in")
    stipend = credit("paid for idle machines")
    refunded = credit("given back by the treasury, of attempts that the pool lost")
    returned = credit("given back by lenders, of attempts that their machines lost")
    rows = fields.Integer(allow_none=True, metadata={"description": "rows under the seal"})
    seal = text("SHA-256 over these rows and the seal before", allow_none=True)


class SettlementDetailSchema(SettlementSchema):
    """A settled interval with what its rate follows from."""

    fee_share = credit("0 to 1")
    target = credit("the utilisation at which the rate stays")
    error = credit("how far off it was, -1 to 1", allow_none=True)
    error_sum = credit("all errors so far: rate = initial rate x e^(sum / 8)", allow_none=True)
    steps = fields.List(fields.String(), metadata={"description": "what is done, in order"})


class AccountBalanceSchema(Schema):
    """The balance of one account; the market's own and projects' have no user."""

    account = text()
    user_id = identity(allow_none=True)
    balance = credit()


class TrialBalanceSchema(Schema):
    """All accounts; their sum is zero."""

    accounts = fields.List(fields.Nested(AccountBalanceSchema))
    sum = credit()


class MetadataSchema(Schema):
    """Capacity, use and price for each machine type."""

    machine_info = fields.Dict()
