"""How a job ended, read from what YARN says of its application and from its driver's last words."""

from __future__ import annotations

import re

from market.cluster.resourcemanager import App
from market.jobs.life import bounds, ending
from market.jobs.life.state import End

# YARN's and Spark's words; a container's exit code 137 or 143 after "beyond physical memory" is YARN's kill.
# 152 is that of a container in which the kernel ended something for want of memory (the agent's enclose.py).
# An option of Java, OnOutOfMemoryError, stands in the words of every driver that had executors.
_MEMORY = re.compile(
    r"beyond (the )?'?(physical|virtual)'? memory|exceeding (physical |virtual )?memory limits"
    r"|(?<!On)OutOfMemoryError|running .*PHYSICAL.* memory"
    r"|exit ?(code|status): (52|152)\b",  # the first is Spark's own, when Java has no memory left
    re.IGNORECASE,
)
# What the ResourceManager itself writes first when it gives an application up; behind it come the container's
# last words, which are the program's. The negative exit codes are YARN's own (ContainerExitStatus): released
# with its node, no disk left, preempted, stopped by the ResourceManager or by its scheduler.
_GIVEN_UP = r"Application \S+ failed \d+ times(?:(?! due to ).){0,200} due to "
_POOL = re.compile(
    _GIVEN_UP + r"(AM Container for \S+ exited with\s+exitCode: -(100|101|102|106|108)\b|Error launching )"
)
# By a bound of its machine: whatever else its last words are.
_STOPPED = re.compile(_GIVEN_UP + r"AM Container for \S+ exited with\s+exitCode: (-104|-109|152|153)\b")
# Not a machine that is gone: its NodeManager expires sooner than a driver (hadoop/site.py).
_SILENT = re.compile(_GIVEN_UP + r"ApplicationMaster for attempt \S+ timed out")
# The same in a driver's log, and what Java and Python themselves write there.
_LOG_MEMORY = re.compile(
    _MEMORY.pattern + r"|^MemoryError\b|Unable to allocate .*array|SparkOutOfMemoryError",
    re.IGNORECASE | re.MULTILINE,
)
_EXECUTOR = re.compile(r"ExecutorLostFailure|Lost executor|Container killed by YARN")
EXECUTORS_FAILED = "Max number of executor failures"  # in YARN's diagnostics: Spark gave up
_TRACE = "Traceback (most recent call last):"
_MAX_WORDS = 200
_SIGNALS = 128  # and a signal: the exit code of what it ended
# Only a program's own code: those that Spark's master ends with (10 to 16) say nothing of a program.
_STATUS = re.compile(r"User application exited with status (\d+)")
# What a program of Java gave to Runtime.halt: nobody hears of that, so it comes as its container's code.
_HALTED = re.compile(_GIVEN_UP + r"AM Container for \S+ exited with\s+exitCode: ([2-9]|1[7-9]|[2-4]\d)\b")
_KILLED = re.compile(_GIVEN_UP + r"AM Container for \S+ exited with\s+exitCode: (1(?:29|[3-9]\d))\b")


def told(app: App) -> End | None:
    """Return how a job ended as its driver told YARN; None where it came to no such word."""
    if app.state != "FINISHED":
        return None
    return ending.told(app.diagnostics, app.final_status == "SUCCEEDED", app.finished_ms or None)


def of(app: App) -> End:
    """Return how a job ended whose application is terminal."""
    at_ms = app.finished_ms or None
    if end := told(app):
        return end
    if app.state == "FINISHED" and app.final_status == "SUCCEEDED":
        return End("succeeded", None, "", at_ms)
    if app.state == "KILLED":
        return End("cancelled", "cancelled", "stopped at the ResourceManager by an administrator", at_ms)
    diagnostics = app.diagnostics
    # An application whose own master reports the end is FINISHED, and what it says is the program's word.
    # Only YARN's can name the pool: that refunds what the job has paid.
    if app.state == "FAILED" and _POOL.match(diagnostics):
        reason = (
            "The pool lost the machine that ran the driver. What the job paid is given back; submit it again."
        )
        return End("lost", "pool_failure", reason, at_ms)
    if app.state == "FAILED" and (stopped := _STOPPED.match(diagnostics)):
        return _limit(stopped[0], at_ms) or _memory("driver", at_ms)
    if _MEMORY.search(diagnostics):
        return _memory("executor" if _EXECUTOR.search(diagnostics) else "driver", at_ms)
    limit = _limit(diagnostics, at_ms)
    if limit is not None:
        return limit
    if app.state == "FAILED" and _SILENT.match(diagnostics):
        reason = "The program's driver did not answer YARN for a minute, on a machine that did: it hung."
        return End("failed", "user_error", reason, at_ms)
    if EXECUTORS_FAILED in diagnostics:
        reason = "The program failed: its executors ended too often. Their logs say why."
        return End("failed", "user_error", reason, at_ms)
    return End("failed", "user_error", f"{_failed(diagnostics)}: its log says why.", at_ms)


def explained(app: App, log: str) -> End:
    """Return how a job ended whose program failed, with the end of its driver's log.

    YARN only knows the exit code of a Python program; what it died of stands in its last traceback.
    """
    at_ms = app.finished_ms or None
    if EXECUTORS_FAILED in app.diagnostics:
        if _LOG_MEMORY.search(log):
            return _memory("executor", at_ms)
        return _limit(log, at_ms) or of(app)
    trace = log[log.find(_TRACE) :] if _TRACE in log else ""
    if _EXECUTOR.search(trace) and (limit := _limit(trace, at_ms)):
        return limit
    if _LOG_MEMORY.search(trace or log[-_MAX_WORDS:]):
        return _memory("executor" if _EXECUTOR.search(trace) else "driver", at_ms)
    words = _last_error(trace)
    if not words:
        return of(app)
    return End("failed", "user_error", f"{_failed(app.diagnostics)}: {words}. Its log says where.", at_ms)


def _limit(words: str, at_ms: int | None) -> End | None:
    found = bounds.passed(words)
    return End("failed", *found, at_ms) if found else None


def _memory(part: str, at_ms: int | None) -> End:
    reason = f"The {part} needed more memory than it had: ask for more {part}_memory."
    return End("failed", "out_of_memory", reason, at_ms)


def _failed(diagnostics: str) -> str:
    if killed := _KILLED.match(diagnostics):
        return f"The program's driver was killed by signal {int(killed[1]) - _SIGNALS}"
    match = _STATUS.search(diagnostics) or _HALTED.match(diagnostics)
    return "The program failed" + (f" with exit code {match[1]}" if match else "")


def _last_error(trace: str) -> str:
    """Return the line that ends the last traceback: the error's name and message."""
    for line in trace.rpartition(_TRACE)[2].splitlines()[1:]:
        if line and not line[0].isspace():
            words = "".join(letter if letter.isprintable() else " " for letter in line).strip()
            return words[:_MAX_WORDS].rstrip(". ")
    return ""
