"""Options that several commands have: the fields of a job, sizes, spans of time, choices of output."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributedmarket.errors import SetupError

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([gm])(i?b)?", re.IGNORECASE)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)", re.IGNORECASE)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def common(parser: argparse.ArgumentParser) -> None:
    """Declare what every command has that speaks to a market."""
    group = parser.add_argument_group("for all commands")
    group.add_argument("--json", action="store_true", help="answer in JSON, for programs")
    group.add_argument("--profile", default="", metavar="NAME", help="another login than the usual one")


def examples(parser: argparse.ArgumentParser, *lines: str) -> None:
    """Show how it is written, at the end of its help."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "examples:\n" + "\n".join(f"  {line}" for line in lines)


def memory_mib(text: str) -> int:
    """Return the MiB that `8g`, `1.5g` or `1536m` mean. Raises SetupError."""
    match = _MEMORY.fullmatch(text.strip())
    if match is None:
        raise SetupError(f"--memory {text}: write it with its unit, as 8g, 1.5g or 1536m")
    return round(float(match.group(1)) * (1024 if match.group(2).lower() == "g" else 1))


def _mib(text: str) -> int:
    try:
        return memory_mib(text)
    except SetupError:
        raise argparse.ArgumentTypeError(f"{text!r}: write it as 2g or 1536m") from None


def seconds(text: str) -> int:
    """Return the seconds that `90s`, `30m`, `2h` or `1d` mean, for argparse."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: write it as 90s, 30m, 2h or 1d")
    return round(float(match.group(1)) * _SECONDS[match.group(2).lower()])


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r}: write it as NAME=VALUE")
    return name, value


def _axis(text: str) -> tuple[str, list[Any]]:
    """Return a parameter of a sweep with its values: numbers as numbers."""
    name, value = _assignment(text)
    if not _NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{text!r}: write it as NAME=VALUE,VALUE")
    return name, [_value(word) for word in value.split(",")]


def _value(word: str) -> Any:
    try:
        value = json.loads(word)
    except ValueError:
        return word
    return value if isinstance(value, int | float) else word


@dataclass(frozen=True)
class _Field:
    """An option that is a field of a job; `many` may be given several times, `pairs` become an object."""

    option: str
    field: str
    metavar: str
    help: str
    kind: Callable[[str], Any] = str
    many: bool = False
    pairs: bool = False


_FIELDS = (
    _Field("--cores", "core_num", "N", "executor cores in all; the driver has one more (default: 1)", int),
    _Field("--type", "machine_type", "TYPE", "machine type (default: the cheapest that is lent now)"),
    _Field("--name", "job_name", "NAME", "name of the job"),
    _Field("--max-credits", "max_credits", "CREDITS", "the most that it may cost (default: what it can)"),
    _Field(
        "--max-duration",
        "max_duration",
        "TIME",
        "how long it may run, as 30m or 2h (shipped default: 1h)",
        seconds,
    ),
    _Field(
        "--max-wait", "max_wait", "TIME", "how long it may wait for a machine (shipped default: 1d)", seconds
    ),
    _Field("--auto-extend-to", "auto_extend_to", "CREDITS", "how far its limit grows by itself"),
    _Field("--executor-cores", "executor_cores", "N", "cores of one executor (default: 1)", int),
    _Field(
        "--executor-memory",
        "executor_memory",
        "SIZE",
        "heap of one executor, as 2g (shipped default: 512m)",
        _mib,
    ),
    _Field(
        "--driver-memory", "driver_memory", "SIZE", "heap of the driver, as 2g (shipped default: 512m)", _mib
    ),
    _Field("--env", "env", "NAME=VALUE", "a variable of its environment", _assignment, pairs=True),
    _Field("--secret", "secrets", "NAME", "a secret that it may read", many=True),
    _Field("--lib", "libs", "FILE", "a library beside the program", many=True),
    _Field("--archive", "archives", "FILE", "an archive that is unpacked beside it", many=True),
    _Field("--requirement", "requirements", "PACKAGE", "a Python package that it needs", many=True),
    _Field("--python-env", "python_env", "FILE", "a packed Python environment beside it"),
    _Field("--main-class", "main_class", "CLASS", "of a .jar"),
    _Field("--exclude", "exclude", "PATTERN", "what does not go along into the containers", many=True),
    _Field("--conf", "spark_conf", "KEY=VALUE", "a setting of Spark", _assignment, pairs=True),
    _Field("--grid", "grid", "NAME=V1,V2", "a sweep over these values of {NAME}", _axis, pairs=True),
    _Field("--max-parallel", "max_parallel", "N", "points of a sweep at once (default: 2)", int),
    _Field("--point-retries", "point_retries", "N", "how often a failed point runs again (default: 0)", int),
    _Field("--project", "project", "NAME", "the project that pays (default: you do)"),
    _Field("--note", "job_note", "TEXT", "words about it, for yourself"),
)


def add_job_fields(parser: argparse.ArgumentParser) -> None:
    """Declare the options that are fields of a job."""
    group = parser.add_argument_group("the job")
    for one in _FIELDS:
        group.add_argument(
            one.option,
            dest=one.field,
            metavar=one.metavar,
            help=one.help,
            type=one.kind,
            action="append" if one.many or one.pairs else "store",
        )
    group.add_argument(
        "--set", dest="set_fields", action="append", default=[], type=_assignment, metavar="FIELD=JSON",
        help="any other field of the interface, as files=[\"*.json\"]",
    )  # fmt: skip


def job_fields(chosen: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of a job that were given."""
    body: dict[str, Any] = {}
    for one in _FIELDS:
        given = getattr(chosen, one.field)
        if given is not None:
            body[one.field] = dict(given) if one.pairs else given
    for name, value in chosen.set_fields:
        try:
            body[name] = json.loads(value)
        except ValueError:
            body[name] = value
    return body


def read_body(file: Path) -> dict[str, Any]:
    """Return the fields of a job in a JSON file. Raises SetupError."""
    try:
        body = json.loads(file.read_text())
    except OSError as error:
        raise SetupError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise SetupError(f"{file} is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise SetupError(f"{file} must hold an object with the fields of a job")
    return body


def split_program(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return what stands before and behind `--`: what comes behind is the program's."""
    words = list(arguments)
    if "--" not in words:
        return words, []
    place = words.index("--")
    return words[:place], words[place + 1 :]
