"""Text from outside: what a program, a machine, a person or another server says, made fit to be stored.

PostgreSQL takes no NUL in a text and no half of a surrogate pair, which JSON and Python do. One of them in a
statement makes it fail, and with it whatever else the statement's transaction does.
"""

from __future__ import annotations

import json
import re

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_STANDS_FOR = "\ufffd"
# Control characters (C0, C1), line and paragraph separators, and those that turn the direction of writing.
_NOT_PLAIN = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def storable(text: str, most: int | None = None) -> str:
    """Return a text of which each character can be stored, at most so many characters of it."""
    return _UNSTORABLE.sub(_STANDS_FOR, text[:most])


def plain(text: str, most: int | None = None) -> str:
    """Return a text as one line for people to read, at most so many characters; controls become a blank."""
    return _NOT_PLAIN.sub(" ", text[:most])


def is_storable(value: object) -> bool:
    """Tell whether all texts in a value of JSON can be stored as they are."""
    if isinstance(value, str):
        return _UNSTORABLE.search(value) is None
    if isinstance(value, dict):
        return all(is_storable(part) for pair in value.items() for part in pair)
    return not isinstance(value, list) or all(map(is_storable, value))


def parsed(raw: str | bytes, exact: bool = False) -> object:
    """Return what a JSON text means. Raises ValueError for what is none, or is nested too deeply.

    `exact`: also for NaN and Infinity, which Python writes and JSON does not have.
    """
    try:
        return json.loads(raw, parse_constant=_no_number if exact else None)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def parsed_storable(raw: str | bytes) -> object:
    """Return what a JSON text means, with texts that can be stored. Raises ValueError, as `parsed`."""
    value = parsed(raw)
    if isinstance(raw, bytes):  # most have neither an escape nor such bytes, and cost no second look
        clean = b"\\u" not in raw and b"\xed" not in raw
    else:
        clean = "\\u" not in raw and _UNSTORABLE.search(raw) is None
    try:
        return value if clean else _cleaned(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(name): _cleaned(part) for name, part in value.items()}
    return [_cleaned(part) for part in value] if isinstance(value, list) else value
