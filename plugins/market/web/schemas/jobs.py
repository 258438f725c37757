"""Jobs as the routes show them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, post_dump

from market.jobs import fields as kinds
from market.jobs import spec
from market.kit.vocabulary import CONTAINER_ROLES, JOB_STATUSES
from market.web.schemas.common import FileSchema, credit, identity, text, time_ms

_ShownSpec: Any = Schema.from_dict(kinds.of_answer(spec.wires()))


class JobSchema(_ShownSpec):
    """A job: what was submitted, where it stands, and what it costs."""

    job_id = text(allow_none=True)
    user_id = text(allow_none=True)
    job_name = text(allow_none=True)
    status = fields.String(metadata={"enum": list(JOB_STATUSES)})
    reason_code = text("why it ended or is being stopped", allow_none=True)
    reason = text("the same in words", allow_none=True)
    added_time = time_ms()
    start_time = time_ms()
    end_time = time_ms()
    duration = fields.Integer(allow_none=True, metadata={"description": "end - start, milliseconds"})
    rate = text("locked when it was submitted", allow_none=True)
    hold = text("the most that it may cost, in credits", allow_none=True)
    used_credit = text("captured so far", allow_none=True)
    warning = text(
        "what its owner should do about it, while it is open: its hold is nearly used up", allow_none=True
    )
    application_id = text("at YARN", allow_none=True)
    dag_id = text("in Airflow", allow_none=True)
    points = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        allow_none=True,
        metadata={"description": "of a sweep: how many points have each status"},
    )


class QuoteSchema(Schema):
    """What a job would cost."""

    rate = credit()
    credits_per_hour = credit("all containers together, at this rate")
    hold = credit("the most that it may cost")


class QuotedSchema(Schema):
    """The answer to a dry run."""

    quote = fields.Nested(QuoteSchema)


class SubmittedSchema(Schema):
    """The answer to a submission."""

    status = text()
    job_id = identity()
    quote = fields.Nested(QuoteSchema)


class JobStatusSchema(Schema):
    """A job's status after a command."""

    status = text()
    job_id = identity()


class ResultSchema(FileSchema):
    """A file in a job's output folder."""

    sha256 = text("in hex; null until it is computed, some seconds after the job's end", allow_none=True)


class ResultsSchema(Schema):
    """A job's result files."""

    files = fields.List(fields.Nested(ResultSchema))
    total = fields.Integer()


class LogFileSchema(Schema):
    """A log file of a container."""

    container_id = text()
    role = fields.String(metadata={"enum": list(CONTAINER_ROLES)})
    host = text("the machine's display name")
    file = text()
    size = fields.Integer(metadata={"description": "bytes"})
    point = fields.Integer(metadata={"description": "of a sweep only"})

    @post_dump
    def _of_sweeps(self, file: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {name: value for name, value in file.items() if name != "point" or value is not None}


class LogFilesSchema(Schema):
    """A job's log files."""

    files = fields.List(fields.Nested(LogFileSchema))
    total = fields.Integer()


class ReceiptLineSchema(Schema):
    """What one container cost."""

    container_id = text()
    point = fields.Integer(metadata={"description": "of a sweep only"})
    role = text()
    host = text()
    machine_id = identity(allow_none=True)
    seconds = fields.Raw()
    vcores = fields.Integer()
    memory_mib = fields.Integer()
    weight = credit()
    amount = credit()
    rounding = fields.Raw(metadata={"description": "micro-credits that were dropped"})
    not_charged_because = text(allow_none=True)


class GivenBackSchema(Schema):
    """What an administrator gave back of a charge."""

    at = time_ms()
    amount = credit()
    reason = text()


class ReceiptSchema(Schema):
    """What a job cost; the amounts add up to the charge. `final` is false until the last capture."""

    job_id = identity()
    rate = credit()
    gib_weight = credit("credits an hour for a GiB at rate 1, as locked at submission")
    charge = credit()
    final = fields.Boolean()
    containers = fields.List(fields.Nested(ReceiptLineSchema))
    refunds = fields.List(
        fields.Nested(GivenBackSchema), metadata={"description": "by administrators, beside the charge"}
    )


class StageSchema(Schema):
    """A stage that runs."""

    stage_id = fields.Integer()
    name = text()
    status = text()
    tasks_done = fields.Integer()
    tasks_total = fields.Integer()


class ProgressSchema(Schema):
    """How far a running job is."""

    status = text()
    application_id = text(allow_none=True)
    stages = fields.List(fields.Nested(StageSchema))
    tasks_done = fields.Integer()
    tasks_total = fields.Integer(metadata={"description": "of all Spark jobs that the program began"})
    executors = fields.Integer(metadata={"description": "that are alive"})
    cost = credit("used of the hold by now, also what is not captured yet")
    updated_time = time_ms(attribute="updated_ms")
    estimated_end_time = time_ms(attribute="estimated_end_ms")


class PointSchema(Schema):
    """A point of a sweep: its parameters, where it stands, and what it reported."""

    point = fields.Integer()
    params = fields.Dict(keys=fields.String(), values=fields.Raw())
    status = text()
    reason_code = text(allow_none=True)
    reason = text()
    application_id = text(allow_none=True)
    start_time = time_ms()
    end_time = time_ms()
    duration = fields.Integer(allow_none=True, metadata={"description": "milliseconds"})
    metrics = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(),
        metadata={"description": "what the program left in metrics.json"},
    )


class PointsSchema(Schema):
    """The points of a sweep."""

    points = fields.List(fields.Nested(PointSchema))
    total = fields.Integer()
