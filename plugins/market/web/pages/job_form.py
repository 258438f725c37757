"""The form that submits a job: what a browser sends, as the body of `POST /jobs`, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from marshmallow.fields import String
from werkzeug.datastructures import MultiDict

from market.jobs.intake.schemas import JobRequestSchema
from market.kit import whole
from market.kit.errors import BadInputError
from market.kit.settings import Settings

_NUMBERS = {  # field of the form -> field of the body, factor to the body's unit
    "core_num": ("core_num", 1),
    "executor_cores": ("executor_cores", 1),
    "driver_memory": ("driver_memory", 1),
    "executor_memory": ("executor_memory", 1),
    "minutes": ("max_duration", 60),
    "wait_minutes": ("max_wait", 60),
    "max_parallel": ("max_parallel", 1),
    "point_retries": ("point_retries", 1),
}
_TEXTS = tuple(name for name, field in JobRequestSchema().fields.items() if isinstance(field, String))
_LISTS = ("libs", "archives")
_LINES = ("requirements", "files", "exclude", "secrets", "app_params")  # one a line
_PAIRS = ("env", "spark_conf")  # name=value, one a line


def empty(settings: Settings, folder: str) -> dict[str, Any]:
    """Return what a new form holds."""
    return {
        "root_path": folder,
        "machine_type": next(iter(settings.types)),
        "core_num": "2",
        "executor_cores": "1",
        "driver_memory": str(settings.jobs.driver_memory_mib),
        "executor_memory": str(settings.jobs.executor_memory_mib),
        "minutes": str(settings.jobs.max_duration_s // 60),
        "wait_minutes": str(settings.jobs.max_wait_s // 60),
        "max_parallel": "2",
        "point_retries": "0",
        "libs": [],
        "archives": [],
    }


def like(job: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a job's record as the form shows it, and the names of the fields that it cannot show whole.

    Seconds that are no whole minute are rounded up.
    """
    values: dict[str, Any] = {name: job.get(name) or "" for name in _TEXTS}
    values |= {name: list(job.get(name) or ()) for name in _LISTS}
    for name, (field, factor) in _NUMBERS.items():
        values[name] = str(-(-int(job[field]) // factor))
    if not job.get("grid"):
        values["max_parallel"], values["point_retries"] = "2", "0"
    values |= {name: "\n".join(job.get(name) or ()) for name in _LINES}
    for name in _PAIRS:
        values[name] = "\n".join(f"{key}={value}" for key, value in (job.get(name) or {}).items())
    values["grid"] = grid_text(job.get("grid") or {})
    lost = [name for name in _LINES if _lines(values[name]) != list(job.get(name) or ())]
    return values, lost + [name for name in _PAIRS if _pairs(name, values[name], {}) != (job.get(name) or {})]


def grid_text(grid: Mapping[str, list[Any]]) -> str:
    """Return a grid as the form's lines; values that a comma would cut stand in a JSON list."""
    lines = []
    for name, values in grid.items():
        plain = ", ".join(value if isinstance(value, str) else json.dumps(value) for value in values)
        line = f"{name} = {plain}"
        if grid_of(line, {}) != {name: values}:
            line = f"{name} = {json.dumps(values, ensure_ascii=False)}"
        lines.append(line)
    return "\n".join(lines)


def given(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return what was sent, for showing it again."""
    kept: dict[str, Any] = {
        name: form.get(name, "") for name in (*_TEXTS, *_NUMBERS, *_LINES, *_PAIRS, "grid")
    }
    return kept | {name: form.getlist(name) for name in _LISTS}


def body(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return the body of `POST /jobs`; what was left empty is left out, so that the defaults apply.

    Raises BadInputError for what is no number, and for a line of `env` or `spark_conf` without `=`.
    """
    errors: dict[str, object] = {}
    body: dict[str, Any] = {name: text for name in _TEXTS if (text := form.get(name, "").strip())}
    body |= {name: chosen for name in _LISTS if (chosen := [item for item in form.getlist(name) if item])}
    body |= _numbers(form, errors)
    # A parameter that holds a line end itself cannot be told from two: the API takes such ones.
    body |= {name: lines for name in _LINES if (lines := _lines(form.get(name, "")))}
    body |= {name: pairs for name in _PAIRS if (pairs := _pairs(name, form.get(name, ""), errors))}
    if "job_name" not in body and (name := _name(body)):
        body["job_name"] = name
    if grid := grid_of(form.get("grid", ""), errors):
        body["grid"] = grid
    else:
        # The page shows these two with an answer in them, whether there is a grid or not.
        body = {name: value for name, value in body.items() if name not in ("max_parallel", "point_retries")}
    if errors:
        raise BadInputError(errors)
    return body


def _name(body: Mapping[str, Any]) -> str:
    """Return a name for a job that got none: its folder's, where the program's is `main`, like all."""
    folder = str(body.get("root_path", ".")).strip("/").rpartition("/")[2]
    main = str(body.get("entry_file", "main.py")).rpartition(".")[0] == "main"
    return folder[:100] if main and folder not in ("", ".") else ""


def _numbers(form: MultiDict[str, str], errors: dict[str, object]) -> dict[str, int]:
    numbers = {}
    for name, (field, factor) in _NUMBERS.items():
        text = form.get(name, "").strip()
        if (number := whole.parsed(text, 10**9)) is not None:
            numbers[field] = number * factor
        elif text:
            errors[name] = "must be a whole number"
    return numbers


def grid_of(text: str, errors: dict[str, object]) -> dict[str, list[Any]]:
    """Return the names and values of lines `name = value, value`; a value that is JSON is what JSON says.

    So are all values together if they stand in brackets. What has another form is named in `errors`.
    """
    grid: dict[str, list[Any]] = {}
    for line in filter(str.strip, text.splitlines()):
        name, equals, values = line.partition("=")
        if not equals:
            errors["grid"] = f"“{line.strip()}” is not of the form name = value, value"
        grid[name.strip()] = _values(values.strip())
    return grid


def _values(text: str) -> list[Any]:
    if text.startswith("["):
        try:
            listed = json.loads(text)
        except ValueError:
            listed = None
        if isinstance(listed, list) and all(isinstance(value, str | int | float | bool) for value in listed):
            return listed
    return [_value(value.strip()) for value in text.split(",") if value.strip()]


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool) else text


def _lines(text: str) -> list[str]:
    return [line for line in text.replace("\r\n", "\n").split("\n") if line]


def _pairs(name: str, text: str, errors: dict[str, object]) -> dict[str, str]:
    pairs = {}
    for line in filter(str.strip, _lines(text)):
        key, equals, value = line.partition("=")
        if not equals:
            errors[name] = f"“{line.strip()}” is not of the form key=value"
        pairs[key.strip()] = value.strip()
    return pairs


def messages(error: BadInputError) -> dict[str, str]:
    """Return the words to show at each field of the form."""
    names = {field: name for name, (field, _) in _NUMBERS.items()}
    return {names.get(field, field): _flat(message) for field, message in error.errors.items()}


def _flat(message: object) -> str:
    if isinstance(message, dict):
        return " ".join(f"{key}: {_flat(part)}" for key, part in message.items())
    return " ".join(_flat(part) for part in message) if isinstance(message, list | tuple) else str(message)
