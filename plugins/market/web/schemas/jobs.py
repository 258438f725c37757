"""Jobs as the routes show them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, post_dump

from market.jobs import fields as kinds
from market.jobs import spec
from market.jobs.output import build_log
from market.kit.vocabulary import CONTAINER_ROLES, JOB_STATUSES, WAITS
from market.web.schemas.common import FileEntrySchema, Rows, credit, identity, text, time_ms

_ShownSpec: Any = Schema.from_dict(kinds.of_answer(spec.wires()))


class JobSchema(_ShownSpec):
    """A job: what was submitted, where it stands, and what it costs."""

    job_id = identity(required=True)
    user_id = identity(required=True)
    owner = text("who submitted it, by name")
    job_name = text(required=True)
    status = fields.String(required=True, metadata={"enum": list(JOB_STATUSES)})
    reason_code = text("why it ended or is being stopped", allow_none=True)
    reason = text("the same in words", allow_none=True)
    added_time = time_ms()
    start_time = time_ms()
    end_time = time_ms()
    duration = fields.Integer(allow_none=True, metadata={"description": "end - start, milliseconds"})
    rate = text("locked when it was submitted", allow_none=True)
    hold = text("the most that it may cost, in credits", allow_none=True)
    used_credit = text("captured so far", allow_none=True)
    cost = credit("used of the hold by now, also what is not captured yet")
    cost_final = fields.Boolean(
        metadata={"description": "the receipt is final; until then the cost is measured, not charged"}
    )
    hidden = fields.Boolean(metadata={"description": "its owner has taken it off his list"})
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


class WaitingSchema(Schema):
    """Why a job waits."""

    code = fields.String(metadata={"enum": list(WAITS)})
    sentence = text("the same for people, with its evidence")
    since = time_ms()
    figures = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(allow_none=True),
        metadata={
            "description": "place in the queue of its type (from 1), jobs_before and cores_before it; the"
            " type's machines, cores, free_cores; executor_cores and executor_mib of one executor;"
            " usual_wait, seconds: the median of like jobs in the last 24 hours, null for too few"
        },
    )


def _figure(description: str) -> fields.Float:
    return fields.Float(allow_none=True, metadata={"description": description})


class RoleUseSchema(Schema):
    """What the containers of one role used of what they held. Null: no machine has handed the figure over."""

    containers = fields.Integer()
    not_measured = fields.Integer(
        metadata={"description": "containers that were held for 5 s or more and whose machines told nothing"}
    )
    held_core_s = fields.Float(
        metadata={"description": "vcores x seconds that were allocated, of all containers"}
    )
    cpu_s = _figure("processor seconds that they used, all their processes together")
    memory_mib = fields.Integer(metadata={"description": "allocated to each container"})
    peak_memory_mib = fields.Integer(
        allow_none=True,
        metadata={"description": "the most that one of them held: each process at its own peak, summed up"},
    )


class ExecutorUseSchema(RoleUseSchema):
    """The same of executors."""

    busy_core_s = _figure("core seconds in which tasks ran; null unless the job succeeded in one run")


class AdviceSchema(Schema):
    """A size that would have done for less, or after want of memory would have had more of it."""

    core_num = fields.Integer()
    executor_cores = fields.Integer()
    driver_memory = fields.Integer(metadata={"description": "MiB"})
    executor_memory = fields.Integer(metadata={"description": "MiB"})
    cost = credit("of that size, at the job's own rate; null after want of memory", allow_none=True)
    paid = credit("what the job has cost; null after want of memory", allow_none=True)
    duration = fields.Integer(
        allow_none=True, metadata={"description": "how long its driver would have run, milliseconds"}
    )
    sentence = text("the same for people, with what it follows from")


class UsedSchema(Schema):
    """What a job really used of what it was allocated, as the machines and Spark's event log tell it."""

    driver = fields.Nested(RoleUseSchema, allow_none=True)
    executors = fields.Nested(ExecutorUseSchema, allow_none=True)
    advice = fields.Nested(
        AdviceSchema, allow_none=True, metadata={"description": "null where there is nothing to be gained"}
    )


_USED = {"description": "null until it is known, some seconds after the job's end"}


class JobDetailSchema(JobSchema):
    """A job, why it does not run yet, and what it has used."""

    waiting = fields.Nested(
        WaitingSchema,
        allow_none=True,
        metadata={"description": "null once an executor has run, and at its end"},
    )
    used = fields.Nested(UsedSchema, allow_none=True, metadata=_USED)


class QuoteSchema(Schema):
    """What a job would cost."""

    rate = credit(required=True)
    credits_per_hour = credit("all containers together, at this rate", required=True)
    hold = credit("the most that it may cost", required=True)


class QuotedSchema(Schema):
    """The answer to a dry run."""

    quote = fields.Nested(QuoteSchema, required=True)


class SubmittedSchema(Schema):
    """The answer to a submission."""

    status = text(required=True)
    job_id = identity(required=True)
    quote = fields.Nested(QuoteSchema, required=True)


class JobStateSchema(Schema):
    """A job's status after a command."""

    status = text(required=True)
    job_id = identity(required=True)


class ResultSchema(FileEntrySchema):
    """A file in a job's output folder."""

    sha256 = text("in hex; null until it is computed, some seconds after the job's end", allow_none=True)


class ResultsSchema(Schema):
    """A job's result files."""

    files = Rows(ResultSchema)
    total = fields.Integer()


class ColumnSchema(Schema):
    """A column of a table."""

    name = text()
    type = text("of Parquet's columns as Arrow names it; else text")


class TableSchema(Schema):
    """The beginning of a table."""

    columns = fields.List(fields.Nested(ColumnSchema))
    rows = fields.List(
        fields.List(fields.String(allow_none=True)),
        metadata={"description": "at most 100; cells are texts, cut where they are long; null is missing"},
    )
    more = fields.Boolean(metadata={"description": "there are rows or columns beyond these"})


class LogFileSchema(Schema):
    """A log file of a container."""

    container_id = text()
    role = fields.String(metadata={"enum": [*CONTAINER_ROLES, build_log.ROLE]})
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
    payer = text("the project that pays, or who submitted it")
    submitter = text("who submitted it")
    rate = credit()
    gib_weight = credit("credits an hour for a GiB at rate 1, as locked at submission")
    charge = credit()
    final = fields.Boolean()
    containers = fields.List(fields.Nested(ReceiptLineSchema))
    refunded = credit("what the treasury gave back of lost attempts: off the charge already")
    returned = credit("what lenders gave back of attempts that their machines lost: off the charge already")
    owed = credit("what a lender still has to give back: it is taken from his next earnings")
    refunds = fields.List(
        fields.Nested(GivenBackSchema), metadata={"description": "by administrators, beside the charge"}
    )
    used = fields.Nested(UsedSchema, allow_none=True, metadata=_USED)


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
    cost_final = fields.Boolean(
        metadata={"description": "the receipt is final; until then the cost is measured, not charged"}
    )
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


class PointListSchema(Schema):
    """The points of a sweep."""

    points = fields.List(fields.Nested(PointSchema))
    total = fields.Integer()
