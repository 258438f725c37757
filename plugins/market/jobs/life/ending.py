"""How a program ended, as its own driver tells it (java/runner/Ending.java): one line in YARN's diagnostics.

It is the program's word, and may be false: it names nothing but the program's own failure, and is bounded.
"""

from __future__ import annotations

import json
import re
import signal
from typing import Any

from market.jobs.life import bounds
from market.jobs.life.state import End

_MARK = re.compile(r"MARKET-END (\{.*\})", re.DOTALL)
_MAX_TEXT = 64 << 10
_MAX_WORDS = 600
_MAX_NOTES = 600
_KILLED_BY = {
    signal.SIGKILL: "most often because its machine had no memory left: ask for more driver_memory",
    signal.SIGSEGV: "a crash in a library of C, or in one that was built for another version",
    signal.SIGABRT: "a library of C gave up: its log says why",
    signal.SIGBUS: "a crash in a library of C",
    signal.SIGFPE: "a crash in a library of C",
    signal.SIGILL: "a library of C that was built for another processor",
}


def told(diagnostics: str, succeeded: bool, at_ms: int | None) -> End | None:
    """Return the end that a driver told; None where it told none."""
    found = _MARK.match(diagnostics[:_MAX_TEXT])
    if not found:
        return None
    try:
        said = json.loads(found[1])
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    notes = _text(said.get("notes"), _MAX_NOTES)
    if succeeded:
        return End("succeeded", None, notes, at_ms)
    reason_code, reason = _reason(said)
    return End("failed", reason_code, f"{reason} {notes}".rstrip(), at_ms)


def _reason(said: dict[str, Any]) -> tuple[str, str]:
    kind, code, words = said.get("kind"), said.get("code"), _text(said.get("words"), _MAX_WORDS)
    number = code if isinstance(code, int) and not isinstance(code, bool) else 1
    if kind == "out_of_memory":
        part = "executor" if words == "executor" else "driver"
        return "out_of_memory", f"The {part} needed more memory than it had: ask for more {part}_memory."
    if "ExecutorLostFailure" in words and (bound := bounds.passed(words)):
        return bound
    if kind == "signal":
        return "user_error", _signal(number)
    ended = "failed" if kind == "error" and number == 1 else f"ended with exit code {number}"
    if not words:
        return "user_error", f"The program {ended}. Its log says why."
    return "user_error", f"The program {ended}: {words}. Its log says where."


def _signal(number: int) -> str:
    try:
        name = f" ({signal.Signals(number).name})"
    except ValueError:
        name = ""
    why = _KILLED_BY.get(signal.Signals(number)) if name else None
    return f"The program was killed by signal {number}{name}" + (f": {why}." if why else ".")


def _text(value: object, most: int) -> str:
    """Return what may be stored and shown in one line."""
    if not isinstance(value, str):
        return ""
    plain = "".join(letter if letter.isprintable() else " " for letter in value[: 4 * most])
    words = " ".join(plain.split())
    return (words if len(words) <= most else f"{words[:most]}…").rstrip(". ")
