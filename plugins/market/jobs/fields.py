"""How each kind of a job's fields is read: the building blocks of the specification (spec.py)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError, fields, missing, validate

from market.hadoop import paths
from market.jobs import grid
from market.jobs.spec import Wire
from market.kit.errors import BadInputError
from market.kit.wire import positive_credits

_MAX_FILES = 50
_MAX_PARAMS = 500
_MAX_PARAM_BYTES = 60_000  # all together: they travel encoded in one argument, and Linux allows 128 KiB
_MAX_CONF = 50
_MAX_CONF_VALUE = 1000
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


def whole(low: int, high: int, description: str = "", **options: Any) -> fields.Integer:
    """Return the field of a whole number within bounds; `description` tells its unit."""
    return fields.Integer(
        strict=True, validate=validate.Range(low, high), metadata=_described(description), **options
    )


def text(most: int, description: str = "", lines: bool = False, **options: Any) -> fields.String:
    """Return the field of a text for people, at most so many characters; `lines`: it may have several."""
    allowed = r"[^\x00-\x08\x0b-\x1f\x7f]*\Z" if lines else r"[^\x00-\x1f\x7f]+\Z"
    words = "may hold no control character" + ("" if lines else ", and no line end")
    checks = [validate.Length(0 if lines else 1, most), validate.Regexp(allowed, error=words)]
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
        fields.String(), validate=[validate.Length(max=_MAX_PARAMS), check_params], load_default=list
    )


def spark_conf() -> fields.Dict:
    """Return the field of Spark's settings, of the list that a job may set."""
    return fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        validate=[validate.Length(max=_MAX_CONF), _conf],
        load_default=dict,
    )


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


def _conf(given: dict[str, str]) -> None:
    errors: dict[str, list[str]] = {}
    for key, value in given.items():
        if not _CONF.fullmatch(key) or _NOT_CONF.fullmatch(key):
            errors[key] = ["may not be set by a job; see the list in docs/users.md"]
        elif len(value) > _MAX_CONF_VALUE or not value.isprintable():
            errors[key] = [f"must be at most {_MAX_CONF_VALUE} printable characters"]
    if errors:
        raise ValidationError(errors)


def _described(description: str) -> dict[str, str]:
    return {"description": description} if description else {}
