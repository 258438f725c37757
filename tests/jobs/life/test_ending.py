"""What a driver tells of its program's end, read with care: it is the program's word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from market.jobs.life import ending


def told(succeeded: bool = False, **said: Any) -> Any:
    fields = {"code": 1, "kind": "error", "words": "", "notes": ""} | said
    return ending.told(f"MARKET-END {json.dumps(fields)}", succeeded, 7)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"words": "ValueError: no"}, "The program failed: ValueError: no. Its log says where."),
        ({}, "The program failed. Its log says why."),
        ({"kind": "exit", "code": 3}, "The program ended with exit code 3. Its log says why."),
        (
            {"kind": "exit", "words": "no epochs"},
            "The program ended with exit code 1: no epochs. Its log says where.",
        ),
        (
            {"words": "no", "notes": "Not saved: a"},
            "The program failed: no. Its log says where. Not saved: a",
        ),
        ({"words": "a\x1b[31m\0b\nc"}, "The program failed: a [31m b c. Its log says where."),
    ],
)
def test_a_failure_holds_what_the_program_said(said: dict[str, Any], reason: str) -> None:
    end = told(**said)
    assert (end.status, end.reason_code, end.at_ms) == ("failed", "user_error", 7)
    assert end.reason == reason


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (9, "signal 9 (SIGKILL): most often because"),
        (11, "signal 11 (SIGSEGV): a crash"),
        (12, "signal 12 (SIGUSR2)."),
        (63, "signal 63."),
    ],
)
def test_a_signal_is_named(number: int, words: str) -> None:
    assert words in told(kind="signal", code=number).reason


@pytest.mark.parametrize(
    ("words", "part"), [("executor", "executor"), ("driver", "driver"), ("java", "driver")]
)
def test_memory_names_what_to_ask_for(words: str, part: str) -> None:
    end = told(kind="out_of_memory", words=words)
    assert end.reason_code == "out_of_memory"
    assert end.reason.endswith(f"ask for more {part}_memory.")


@pytest.mark.parametrize(("status", "code"), [(153, "disk_limit"), (-109, "log_limit"), (1, "user_error")])
def test_an_executor_that_passed_a_bound_is_named(status: int, code: str) -> None:
    words = (
        "SparkException: Job aborted due to stage failure: Task 0 in stage 0.0 failed 4 times, most recent "
        "failure: Lost task 0.3 in stage 0.0 (TID 3) (h executor 4): ExecutorLostFailure (executor 4 exited "
        "caused by one of the running tasks) Reason: Container from a bad node: container_1 on host: h. "
        f"Exit status: {status}. Diagnostics: "
    )
    assert told(words=words).reason_code == code
    assert told(words=f"ValueError: Exit status: {status}.").reason_code == "user_error"


def test_a_success_has_notes_only() -> None:
    assert (
        told(True, kind="well", notes="Not saved: model: over quota.").reason
        == "Not saved: model: over quota"
    )
    assert told(True, words="ignored").reason == ""


@pytest.mark.parametrize(
    "said",
    ["", "MARKET-END ", "MARKET-END {", "MARKET-END []", " MARKET-END {}", "User class threw: MARKET-END {}"],
)
def test_what_is_no_end(said: str) -> None:
    assert ending.told(said, False, 7) is None


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "pool_failure"},
        {"kind": ["lost"], "code": None, "words": 3, "notes": {}},
        {"code": True, "words": "x" * 100_000, "notes": "y" * 100_000},
        {"code": 1e308, "kind": "signal"},
        {"code": -(10**30), "kind": "signal"},
    ],
)
def test_nothing_that_is_said_is_more_than_a_short_failure(said: dict[str, Any]) -> None:
    end = told(**said)
    if end is None:  # longer than what is read
        return
    assert (end.status, end.reason_code) == ("failed", "user_error")
    assert len(end.reason) < 1400
    assert end.reason.isprintable()


def test_deep_nesting_is_no_error() -> None:
    assert ending.told("MARKET-END " + '{"a":' * 10_000, False, 7) is None
    assert ending.told("MARKET-END {" + "[" * 60_000 + "}", False, 7) is None
