"""The points of a sweep: every combination of the values that a grid names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import isfinite, prod

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")
RESERVED = ("input", "output")  # `{input}` and `{output}` stand for addresses
MAX_NAMES = 10
_MAX_VALUE = 200  # characters
_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")

Value = str | int | float | bool
Point = dict[str, Value]


def points(grid: Mapping[str, Sequence[Value]]) -> list[Point]:
    """Return all combinations; names in alphabetical order, the last one's values change fastest."""
    names = sorted(grid)
    return [dict(zip(names, values, strict=True)) for values in product(*(grid[name] for name in names))]


def size(grid: Mapping[str, Sequence[Value]]) -> int:
    """Return how many points a grid has, without making them."""
    return prod(len(values) for values in grid.values())


def problems(grid: Mapping[str, object], params: Iterable[str]) -> dict[str, list[str]]:
    """Return what is wrong with a grid, by its names; `params` are the parameters that use them."""
    used = {name for item in params for name in _PLACE.findall(item)}
    errors: dict[str, list[str]] = {}
    for name, values in grid.items():
        if not NAME.fullmatch(name) or name in RESERVED:
            problem = "is no name: letters, digits and _, at most 32, and neither input nor output"
        elif not isinstance(values, list) or not values:
            problem = "must be a list of at least one value"
        elif not all(_is_value(value) for value in values):
            problem = f"must hold numbers, true or false, and texts of at most {_MAX_VALUE} characters"
        elif len({text(value) for value in values}) < len(values):
            problem = "holds a value twice"
        elif name not in used:
            problem = f"is used nowhere: write {{{name}}} into app_params"
        else:
            continue
        errors[name] = [problem]
    return errors


def filled(item: str, values: Mapping[str, str]) -> str:
    """Return a parameter with `{name}` replaced by the name's value, in one pass; other braces stay."""
    return _PLACE.sub(lambda match: values.get(match.group(1), match.group()), item)


def text(value: Value) -> str:
    """Return a value as a program is given it: numbers, true and false as JSON writes them."""
    return value if isinstance(value, str) else json.dumps(value)


def label(point: Mapping[str, Value]) -> str:
    """Return a point in words: `alpha=0.1, depth=3`."""
    return ", ".join(f"{name}={text(value)}" for name, value in point.items())


def _is_value(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_VALUE and "\0" not in value
    return isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value))
