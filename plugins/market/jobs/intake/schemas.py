"""A job as it is asked for, as it is stored, and as it is shown: one definition of each field."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from market.hadoop import allocation, paths
from market.jobs import grid
from market.kit import settings
from market.kit.errors import BadInputError
from market.kit.vocabulary import JOB_STATUSES
from market.kit.wire import Input, positive_credits

# Spark refuses a heap below 450 MiB, and Java gives a program a little less than it is told to.
MIN_HEAP_MIB = 512
_MAX_FILES = 50
_MAX_PARAMS = 500
_MAX_PARAM_BYTES = 60_000  # all together: they travel encoded in one argument, and Linux allows 128 KiB
_MAX_DURATION_S = 30 * 24 * 3600
_MAX_CONF = 50
_MAX_CONF_VALUE = 1000
_MAX_RETRIES = 5
_OF_SWEEPS = ("max_parallel", "point_retries")
_CLASS = re.compile(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*")

# What a program may set for itself: how Spark works inside the containers that were quoted. Nothing that
# changes who runs it, where, with how many containers, what is on the class path, or what is measured; and no
# file for spark-submit to bring along: it would read it as the market's own account.
_CONF = re.compile(
    r"spark\.(sql|default|shuffle|speculation|locality|task|rdd|broadcast|kryo|kryoserializer|serializer|memory"
    r"|network\.timeout|executor\.heartbeatInterval|stage|scheduler\.mode|reducer|files\.|io|driver\.maxResultSize"
    r"|hadoop\.mapreduce|hadoop\.dfs\.replication|python\.worker|cleaner|storage\.(?!decommission))[\w.\-]*"
)
_NOT_CONF = re.compile(
    r"(?i).*(extraJavaOptions|extraClassPath|jars|credential|token|secret|password|metastore).*"
)


def _path(text: str) -> None:
    try:
        paths.relative(text, "path")
    except BadInputError as error:
        raise ValidationError(error.errors["path"]) from None  # type: ignore[arg-type]


def _file(text: str) -> None:
    _path(text)
    if text == ".":
        raise ValidationError("must name a file")


def _conf(given: dict[str, str]) -> None:
    wrong: dict[str, list[str]] = {}
    for key, value in given.items():
        if not _CONF.fullmatch(key) or _NOT_CONF.fullmatch(key):
            wrong[key] = ["may not be set by a job; see the list in docs/users.md"]
        elif len(value) > _MAX_CONF_VALUE or not value.isprintable():
            wrong[key] = [f"must be at most {_MAX_CONF_VALUE} printable characters"]
    if wrong:
        raise ValidationError(wrong)


def _params(given: list[str]) -> None:
    if sum(len(item.encode()) for item in given) > _MAX_PARAM_BYTES:
        raise ValidationError(f"must have at most {_MAX_PARAM_BYTES} bytes together", "app_params")


def _whole(low: int, high: int, said: str = "", **options: Any) -> fields.Integer:
    return fields.Integer(
        strict=True,
        validate=validate.Range(low, high),
        metadata={"description": said} if said else {},
        **options,
    )


def _name() -> fields.String:
    text = fields.String(validate=[validate.Length(1, 100), validate.Regexp(r"[^\x00-\x1f\x7f]+\Z")])
    return text


def _files() -> fields.List:
    return fields.List(
        fields.String(validate=_file), validate=validate.Length(max=_MAX_FILES), load_default=list
    )


class JobRequestSchema(Input):
    """Body of `POST /jobs`. Paths are relative: root_path to the home, the others to root_path."""

    root_path = fields.String(required=True, validate=_path)
    core_num = _whole(1, 1 << 20, "executor cores in all", required=True)
    machine_type = fields.String(required=True, validate=validate.Length(1, 32))
    job_name = _name()
    entry_file = fields.String(
        validate=[_file, validate.Regexp(r"(?s).+\.(py|jar)\Z", error="must end in .py or .jar")]
    )
    main_class = fields.String(
        validate=validate.Regexp(_CLASS.pattern + r"\Z", error="is no name of a class")
    )
    libs = _files()
    archives = _files()
    python_env = fields.String(
        validate=_file,
        allow_none=True,
        load_default=None,
        metadata={"description": "a packed Python environment in root_path, with bin/python in it"},
    )
    app_params = fields.List(
        fields.String(), validate=[validate.Length(max=_MAX_PARAMS), _params], load_default=list
    )
    executor_cores = _whole(1, 1 << 20, "cores of one executor", load_default=1)
    driver_memory = _whole(MIN_HEAP_MIB, 1 << 22, "MiB")
    executor_memory = _whole(MIN_HEAP_MIB, 1 << 22, "MiB")
    max_duration = _whole(1, _MAX_DURATION_S, "seconds")
    max_wait = _whole(1, _MAX_DURATION_S, "seconds to wait for a machine")
    max_credits = fields.String(validate=positive_credits, allow_none=True, load_default=None)
    auto_extend_to = fields.String(validate=positive_credits, allow_none=True, load_default=None)
    spark_conf = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        validate=[validate.Length(max=_MAX_CONF), _conf],
        load_default=dict,
    )

    grid = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(),
        validate=validate.Length(1, grid.MAX_NAMES),
        allow_none=True,
        load_default=None,
        metadata={
            "description": "a sweep: names and their values; `{name}` in app_params stands for one of them"
        },
    )
    max_parallel = _whole(1, 1 << 20, "points of a sweep that run at once")
    point_retries = _whole(0, _MAX_RETRIES, "how often a failed point of a sweep runs again")

    @validates_schema
    def _sweep(self, data: dict[str, Any], **kwargs: Any) -> None:
        if data["grid"] is None:
            alone = {name: ["is for a sweep: give a grid, too"] for name in _OF_SWEEPS if name in data}
            if alone:
                raise ValidationError(alone)
            return
        if errors := grid.problems(data["grid"], data["app_params"]):
            raise ValidationError(errors, "grid")
        longest = {name: max(map(grid.text, values), key=len) for name, values in data["grid"].items()}
        _params([grid.filled(item, longest) for item in data["app_params"]])
        most = settings.load().jobs.max_points
        if (points := grid.size(data["grid"])) > most:
            raise ValidationError(f"has {points} points; at most {most} are allowed", "grid")

    @validates_schema
    def _size(self, data: dict[str, Any], **kwargs: Any) -> None:
        loaded = settings.load()
        limits, errors = loaded.jobs, dict[str, list[str]]()
        if data["machine_type"] not in loaded.types:
            errors["machine_type"] = [f"there is no such machine type; there are: {', '.join(loaded.types)}"]
        if data["core_num"] > limits.max_cores:
            errors["core_num"] = [f"must be at most {limits.max_cores}"]
        elif data["core_num"] % data["executor_cores"]:
            errors["executor_cores"] = [f"must divide the {data['core_num']} cores evenly"]
        most = allocation.most_heap_mib()
        for name in ("driver_memory", "executor_memory"):
            if data.get(name, 0) > most:
                errors[name] = [f"must be at most {most} MiB"]
        if errors:
            raise ValidationError(errors)


class ExtensionSchema(Input):
    """Body of `POST /jobs/{job_id}/extend`: both are absolute, at the job's locked rate."""

    max_credits = fields.String(validate=positive_credits)
    max_duration = _whole(1, _MAX_DURATION_S, "seconds")

    @validates_schema
    def _something(self, data: dict[str, Any], **kwargs: Any) -> None:
        if not data:
            raise ValidationError("max_credits or max_duration is needed", "max_credits")


class RetrySchema(Input):
    """Body of `POST /jobs/{job_id}/retry`: which points of a sweep; without it all that did not succeed."""

    points = fields.List(_whole(0, 1 << 20), validate=validate.Length(min=1))


def _text(said: str = "") -> fields.String:
    return fields.String(allow_none=True, metadata={"description": said} if said else {})


def _time() -> fields.Integer:
    return fields.Integer(allow_none=True, metadata={"description": "epoch milliseconds"})


class JobSchema(Schema):
    """A job: what was submitted, where it stands, and what it costs."""

    job_id = _text()
    user_id = _text()
    job_name = _text()
    status = fields.String(metadata={"enum": list(JOB_STATUSES)})
    reason_code = _text("why it ended or is being stopped")
    reason = _text("the same in words")
    added_time = _time()
    start_time = _time()
    end_time = _time()
    duration = fields.Integer(allow_none=True, metadata={"description": "end - start, milliseconds"})
    rate = _text("locked when it was submitted")
    hold = _text("the most that it may cost, in credits")
    used_credit = _text("captured so far")
    warning = _text("what its owner should do about it, while it is open: its hold is nearly used up")
    application_id = _text("at YARN")
    dag_id = _text("in Airflow")
    root_path = _text()
    entry_file = _text()
    main_class = _text()
    libs = fields.List(fields.String())
    archives = fields.List(fields.String())
    python_env = _text()
    app_params = fields.List(fields.String())
    machine_type = _text()
    core_num = fields.Integer()
    executor_cores = fields.Integer()
    driver_memory = fields.Integer(metadata={"description": "MiB"})
    executor_memory = fields.Integer(metadata={"description": "MiB"})
    max_duration = fields.Integer(metadata={"description": "seconds"})
    max_wait = fields.Integer(metadata={"description": "seconds"})
    max_credits = _text()
    auto_extend_to = _text()
    spark_conf = fields.Dict(keys=fields.String(), values=fields.String())
    grid = fields.Dict(keys=fields.String(), values=fields.List(fields.Raw()), allow_none=True)
    max_parallel = fields.Integer(metadata={"description": "points of a sweep that run at once"})
    point_retries = fields.Integer()
    points = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        allow_none=True,
        metadata={"description": "of a sweep: how many points have each status"},
    )
