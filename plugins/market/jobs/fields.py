"""How each kind of a job's fields is read: the building blocks of the specification (spec.py)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from marshmallow import ValidationError, fields, missing, validate

from market.hadoop import allocation, paths, variables
from market.jobs import grid, requirements
from market.jobs.spec import Wire
from market.kit import settings
from market.kit.errors import BadInputError
from market.kit.wire import positive_credits, readable

_MAX_FILES = 50
_MAX_PARAMS = 500
_MAX_PARAM_BYTES = 60_000  # all together: they travel encoded in one argument, and Linux allows 128 KiB
_MAX_ENV = 100
_MAX_ENV_BYTES = 12_000  # all together: they travel encoded in one argument as well
_MAX_CONF = 50
_MAX_CONF_VALUE = 1000
_CLASS = re.compile(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*")

# What a program may set for itself: how Spark works inside the containers that were quoted. Nothing that
# changes who runs it, where, with how many containers, what is on the class path, or what is measured; and no
# file for spark-submit to bring along: it would read it as the market's own account.
_CONF_KEYS = frozenset(
    f"spark.{key}"
    for key in (
        *(
            "default.parallelism",
            "driver.maxResultSize",
            "executor.heartbeatInterval",
            "hadoop.dfs.replication",
        ),
        *("locality.wait", "network.timeout", "scheduler.mode", "serializer", "speculation"),
    )
)
_CONF_BELOW = tuple(
    f"spark.{group}."
    for group in (
        *(
            "broadcast",
            "cleaner",
            "files",
            "hadoop.mapreduce",
            "io",
            "kryo",
            "kryoserializer",
            "locality.wait",
        ),
        *(
            "memory",
            "python.worker",
            "rdd",
            "reducer",
            "serializer",
            "shuffle",
            "speculation",
            "sql",
            "stage",
        ),
        *("storage", "task"),
    )
)
_CONF_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_NOT_CONF = re.compile(
    r"(?i).*(extraJavaOptions|extraClassPath|jars|credential|token|secret|password|metastore).*"
    r"|spark\.storage\.decommission.*"
)
# What people know from Spark, and the field that does it here.
_FIELDS_INSTEAD = {
    "spark.app.name": "job_name",
    "spark.archives": "archives",
    "spark.cores.max": "core_num",
    "spark.driver.memory": "driver_memory",
    "spark.driver.memoryOverhead": "driver_memory",
    "spark.dynamicAllocation.": "core_num",
    "spark.executor.cores": "executor_cores",
    "spark.executor.instances": "core_num",
    "spark.executor.memory": "executor_memory",
    "spark.executor.memoryOverhead": "executor_memory",
    "spark.executor.pyspark.memory": "executor_memory",
    "spark.executor.resource.": "machine_type",
    "spark.executorEnv.": "env",
    "spark.files": "files",
    "spark.jars": "libs",
    "spark.pyspark.driver.python": "python_env",
    "spark.pyspark.python": "python_env",
    "spark.submit.pyFiles": "libs",
    "spark.yarn.am.nodeLabelExpression": "machine_type",
    "spark.yarn.appMasterEnv.": "env",
    "spark.yarn.dist.archives": "archives",
    "spark.yarn.dist.files": "files",
    "spark.yarn.executor.nodeLabelExpression": "machine_type",
    "spark.yarn.queue": "machine_type",
}
# The largest that is taken, where it is a setting.
_LIMITS: dict[str, Callable[[], int]] = {
    "cores": lambda: settings.load().jobs.max_cores,
    "heap_mib": allocation.most_heap_mib,
    "points": lambda: settings.load().jobs.max_points,
}


def of_request(wires: Mapping[str, Wire]) -> dict[str, fields.Field]:
    """Return the fields that a body is read with."""
    return {name: globals()[wire.kind](*wire.arguments, **wire.options) for name, wire in wires.items()}


def of_answer(wires: Mapping[str, Wire]) -> dict[str, fields.Field]:
    """Return the fields that an answer is made with: as they are read, but none of them is required."""
    answer = of_request(wires)
    for field in answer.values():
        field.required, field.allow_none, field.load_default = False, True, missing
    return answer


def path(**options: Any) -> fields.String:
    """Return the field of a path in the owner's home."""
    return fields.String(validate=_path, **options)


def file(*, suffixes: str = "", description: str = "", **options: Any) -> fields.String:
    """Return the field of a file in `root_path`, with one of these suffixes (`py|jar`) if any are named."""
    ends = rf"(?s).+\.({suffixes})\Z"
    words = f"must end in {' or '.join('.' + suffix for suffix in suffixes.split('|'))}"
    checks: list[Callable[[str], Any]] = [_file, *([validate.Regexp(ends, error=words)] if suffixes else [])]
    return fields.String(validate=checks, metadata=_described(description), **options)


def files() -> fields.List:
    """Return the field of some files in `root_path`."""
    return fields.List(
        fields.String(validate=_file), validate=validate.Length(max=_MAX_FILES), load_default=list
    )


def packages(description: str) -> fields.List:
    """Return the field of Python packages with their versions, as a requirements.txt names them."""
    return fields.List(fields.String(), validate=_packages, allow_none=True, metadata=_described(description))


def patterns(description: str) -> fields.List:
    """Return the field of some paths in `root_path`, in which `*`, `?` and `[...]` stand for characters."""
    return fields.List(
        fields.String(validate=_pattern),
        validate=validate.Length(max=_MAX_FILES),
        load_default=list,
        metadata=_described(description),
    )


def environment() -> fields.Dict:
    """Return the field of variables that the program finds in its environment."""
    return _Texts(
        keys=fields.String(),
        values=Word(),
        validate=[validate.Length(max=_MAX_ENV), _environment],
        load_default=dict,
        metadata=_described("variables of the program's environment; for what is no secret"),
    )


def secrets() -> fields.List:
    """Return the field of secrets that the program finds in its environment, by their names."""
    return fields.List(
        fields.String(validate=_variable),
        validate=validate.Length(max=_MAX_FILES),
        load_default=list,
        metadata=_described("names of secrets of one's own: PUT /secrets/NAME stores them"),
    )


class Within(validate.Validator):
    """Checks that a number is within bounds; the higher one may be the name of a limit in the settings."""

    def __init__(self, low: int, high: int | str) -> None:
        self.min, self._high = low, high

    @property
    def max(self) -> int:
        """The highest number that is taken."""
        return self._high if isinstance(self._high, int) else _LIMITS[self._high]()

    def __call__(self, value: int) -> int:
        """Return the number. Raises marshmallow's ValidationError."""
        if not self.min <= value <= self.max:
            raise ValidationError(f"must be from {self.min} to {self.max}")
        return value


class Word(fields.String):
    """A text; a number, true and false are taken for what JSON writes."""

    default_error_messages = {"invalid": "must be a text, a number, true or false"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value)):
            value = grid.text(value)
        return super()._deserialize(value, attr, data, **kwargs)


def whole(low: int, high: int | str, description: str = "", **options: Any) -> fields.Integer:
    """Return the field of a whole number within bounds, see `Within`; `description` tells its unit."""
    return fields.Integer(
        strict=True, validate=Within(low, high), metadata=_described(description), **options
    )


def text(most: int, description: str = "", lines: bool = False, **options: Any) -> fields.String:
    """Return the field of a text for people, at most so many characters; `lines`: it may have several."""
    checks: list[Callable[[str], Any]] = [validate.Length(0 if lines else 1, most), readable]
    if lines:
        allowed = r"[^\x00-\x08\x0b-\x1f\x7f]*\Z"
        checks[1] = validate.Regexp(allowed, error="may hold no control character")
    return fields.String(validate=checks, metadata=_described(description), **options)


def class_name() -> fields.String:
    """Return the field of a Java class."""
    return fields.String(validate=validate.Regexp(_CLASS.pattern + r"\Z", error="is no name of a class"))


def credits(description: str = "") -> fields.String:
    """Return the field of an amount above zero that may be left out."""
    return fields.String(
        validate=positive_credits, allow_none=True, load_default=None, metadata=_described(description)
    )


def params() -> fields.List:
    """Return the field of a program's parameters."""
    return fields.List(
        Word(),
        validate=[validate.Length(max=_MAX_PARAMS), check_params],
        load_default=list,
        metadata=_described("numbers, true and false are taken as text"),
    )


def spark_conf() -> fields.Dict:
    """Return the field of Spark's settings, of the list that a job may set."""
    return _Texts(
        keys=fields.String(),
        values=Word(),
        validate=[validate.Length(max=_MAX_CONF), _conf],
        load_default=dict,
        metadata=_described("numbers, true and false are taken as text"),
    )


class _Texts(fields.Dict):
    """Texts by name; one that is null is one that was not given."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, Mapping):
            value = {key: text for key, text in value.items() if text is not None}
        return super()._deserialize(value, *args, **kwargs)


def sweep() -> fields.Dict:
    """Return the field of a sweep's grid."""
    return fields.Dict(
        keys=fields.String(),
        values=fields.Raw(),
        validate=validate.Length(1, grid.MAX_NAMES),
        allow_none=True,
        load_default=None,
        metadata=_described("a sweep: names and their values; `{name}` in app_params stands for one of them"),
    )


def check_params(given: list[str]) -> None:
    """Check that parameters fit into one argument. Raises marshmallow's ValidationError."""
    if sum(len(item.encode()) for item in given) > _MAX_PARAM_BYTES:
        raise ValidationError(f"must have at most {_MAX_PARAM_BYTES} bytes together", "app_params")


def _path(text: str) -> None:
    try:
        paths.relative(text, "path")
    except BadInputError as error:
        raise ValidationError(error.errors["path"]) from None  # type: ignore[arg-type]


def _file(text: str) -> None:
    _path(text)
    if text == ".":
        raise ValidationError("must name a file")


def _packages(given: list[str]) -> None:
    if problems := requirements.of_lines(given)[1]:
        raise ValidationError(problems)


def _pattern(text: str) -> None:
    _path(text.removesuffix("/"))


def _environment(given: dict[str, str]) -> None:
    errors = {name: [problem] for name in given if (problem := variables.problem(name))}
    if errors:
        raise ValidationError(errors)
    if sum(len(name.encode()) + len(value.encode()) for name, value in given.items()) > _MAX_ENV_BYTES:
        raise ValidationError(
            f"must have at most {_MAX_ENV_BYTES} bytes together; put more into a file beside the program"
        )


def _variable(name: str) -> None:
    if problem := variables.problem(name):
        raise ValidationError(problem)


def _conf(given: dict[str, str]) -> None:
    errors: dict[str, list[str]] = {}
    for key, value in given.items():
        if instead := _field_instead(key):
            errors[key] = [f"is not set here: use the field {instead}"]
        elif not _is_allowed(key):
            errors[key] = ["may not be set by a job; see the list in docs/users.md"]
        elif len(value) > _MAX_CONF_VALUE or not value.isprintable():
            errors[key] = [f"must be at most {_MAX_CONF_VALUE} printable characters"]
    try:
        allocation.off_heap_mib(given)
    except ValueError as error:
        errors.setdefault(allocation.OFF_HEAP_ENABLED, [str(error)])
    if errors:
        raise ValidationError(errors)


def _is_allowed(key: str) -> bool:
    """Tell whether a job may set this: a whole key of the list, or one below a group of it."""
    if not _CONF_KEY.fullmatch(key) or _NOT_CONF.fullmatch(key):
        return False
    return key in _CONF_KEYS or key.startswith(_CONF_BELOW)


def _field_instead(key: str) -> str | None:
    """Return the job's own field for what a setting of Spark would do."""
    groups = (field for name, field in _FIELDS_INSTEAD.items() if name.endswith(".") and key.startswith(name))
    return _FIELDS_INSTEAD.get(key) or next(groups, None)


def _described(description: str) -> dict[str, str]:
    return {"description": description} if description else {}
