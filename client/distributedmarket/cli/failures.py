"""What a person is told when something fails: one line that says what to do, and the exit code."""

from __future__ import annotations

import json
from typing import Any

from distributedmarket.cli import exits, units
from distributedmarket.cli.text import clean
from distributedmarket.client import MarketApiError, UnreachableError
from distributedmarket.errors import DistributedMarketError
from distributedmarket.sdk import NotLoggedInError

_CODES = {401: exits.NOT_LOGGED_IN, 402: exits.NOT_ENOUGH_CREDIT}
# What the market calls a field, and how it is said here.
_OPTIONS = {
    "root_path": "FOLDER",
    "core_num": "--cores",
    "machine_type": "--type",
    "job_name": "--name",
    "job_note": "--note",
    "entry_file": "--entry-file",
    "spark_conf": "--conf",
    "libs": "--lib",
    "archives": "--archive",
    "secrets": "--secret",
    "app_params": "the program's arguments",
    "core_count": "--cores",
    "memory_size": "--memory",
    "time_period": "--hours",
    "hours": "--window",
    "ip_address": "--address",
    "lifetime_s": "--lifetime",
}


def code(error: DistributedMarketError) -> int:
    """Return the exit code for an error."""
    if isinstance(error, NotLoggedInError):
        return exits.NOT_LOGGED_IN
    if isinstance(error, UnreachableError):
        return exits.UNREACHABLE
    if isinstance(error, MarketApiError):
        return _CODES.get(error.status, exits.REFUSED)
    return exits.REFUSED


def words(error: DistributedMarketError) -> str:
    """Return an error in words for a person; the market's own words have no method or path in them.

    A figure of a field is told as its option takes it.
    """
    if not isinstance(error, MarketApiError):
        return clean(str(error))
    if error.status == 401:
        return f"{clean(error.detail)} Run market login."
    lines = [
        f"{_option(name)}: {clean(units.in_words_of_options(name, message))}"
        for name, messages in error.errors.items()
        for message in _flat(messages)
    ]
    if not lines:
        lines = [clean(error.detail or error.title)]
    if error.status == 402 and "needed" in error.problem:
        lines.append("A smaller --max-credits or --max-duration needs less: market quote shows how much.")
    if error.retry_after:
        lines.append(f"Try again in {error.retry_after:.0f} s.")
    return "\n  ".join(lines)


def as_json(error: DistributedMarketError) -> str:
    """Return an error for programs: the problem document where the market gave one."""
    problem: dict[str, Any] = {"title": type(error).__name__, "detail": str(error)}
    if isinstance(error, MarketApiError):
        problem = dict(error.problem)
    return json.dumps({"error": problem, "exit_code": code(error)})


def _option(field: str) -> str:
    return _OPTIONS.get(field, f"--{clean(field).replace('_', '-')}")


def _flat(messages: object) -> list[str]:
    """Return the messages of a field, also of one that has fields of its own."""
    if isinstance(messages, dict):
        return [f"{name}: {message}" for name, inner in messages.items() for message in _flat(inner)]
    return [str(message) for message in messages] if isinstance(messages, list) else [str(messages)]
