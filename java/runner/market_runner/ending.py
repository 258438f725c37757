"""How a program ended, for its owner: the error that nothing caught, and what to do about it.

Read by java/runner/Ending.java, which sees the exit code, and then by jobs/life/ending.py.
"""

import json
import re
import traceback
from contextlib import suppress

_WORDS = 1000
_TRACE = "Traceback (most recent call last):"
_CAUSE = re.compile(r"^Caused by: (.+)$", re.MULTILINE)
_JAVA_FRAME = re.compile(r"^\s+at [\w.$/]+\(")
# Memory: of an executor as YARN and Spark say it, of the driver's Java, and Python's own word for it.
_EXECUTOR_LOST = re.compile(
    r"(ExecutorLostFailure|Lost executor|executor \d+ exited).*"
    r"(physical memory|memory limits|exit (code|status):? (137|143|52)\b|OutOfMemory)",
    re.IGNORECASE | re.DOTALL,
)
# By a bound of its log or its disk (jobs/life/bounds.py), and only then ended as others are.
_STOPPED = re.compile(r"Exit status: (-109|153)\b")
_NO_MEMORY = re.compile(
    r"\b(MemoryError|OutOfMemoryError|SparkOutOfMemoryError)\b|Unable to allocate .*array"
)
_IN_A_TASK = re.compile(r"Lost task|PythonException|in stage \d")
_EXIT_CODES = 256


def write(record: str, error: BaseException) -> None:
    """Write down an end that nothing caught; a record that cannot be written is no new error."""
    if not record:
        return
    with suppress(Exception), open(record, "w", encoding="ascii") as file:
        json.dump(of(error), file)


def of(error: BaseException) -> dict[str, object]:
    """Return an end: its exit code, `kind` (well, exit, error, out_of_memory), and words for people."""
    if isinstance(error, SystemExit):
        return _exit(error.code)
    text = _text(error)
    if _EXECUTOR_LOST.search(text) and not _STOPPED.search(text):
        return {"code": 1, "kind": "out_of_memory", "words": "executor"}
    words = _last_words(error, text)
    if isinstance(error, MemoryError) or _NO_MEMORY.search(words):
        return {
            "code": 1,
            "kind": "out_of_memory",
            "words": "executor" if _IN_A_TASK.search(text) else "driver",
        }
    return {"code": 1, "kind": "error", "words": _bounded(words + _advice(error, words))}


def _exit(code: object) -> dict[str, object]:
    """Return the end of a program that called `sys.exit`; like Python, with a text for 1."""
    if code is None or code is False or code == 0:
        return {"code": 0, "kind": "well", "words": ""}
    if isinstance(code, int):
        return {"code": code % _EXIT_CODES, "kind": "exit", "words": ""} if code % _EXIT_CODES else _exit(0)
    return {"code": 1, "kind": "exit", "words": _bounded(str(code))}


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an error whose words are an error
        return ""


def _last_words(error: BaseException, text: str) -> str:
    """Return an error's name and message; of one in Java or in a task, those of what caused it."""
    if _TRACE in text:  # in a task's Python
        return _last_error(text.rpartition(_TRACE)[2])
    if type(error).__name__ == "Py4JJavaError":
        return _java(text)
    try:
        lines = list(traceback.TracebackException(type(error), error, None).format_exception_only())
    except Exception:
        return type(error).__name__
    if isinstance(error, SyntaxError):  # the lines before show the place
        place = f" ({error.filename}, line {error.lineno})" if error.lineno else f" ({error.filename})"
        return f"{type(error).__name__}: {error.msg}{place}"
    name = type(error).__name__
    message = text.partition("\n\nJVM stacktrace:")[0].partition("\n== SQL")[0]
    notes = getattr(error, "__notes__", ())
    return " ".join([f"{name}: {message}" if message else lines[-1].strip(), *map(str, notes)])


def _java(text: str) -> str:
    """Return the cause in a trace of Java: `An error occurred while calling ...` says nothing."""
    causes = _CAUSE.findall(text)
    if causes:
        return _short(causes[-1])
    lines = [line for line in text.splitlines() if not _JAVA_FRAME.match(line)]
    told = next((line[2:] for line in lines if line.startswith(": ")), "")
    return _short(told or " ".join(lines))


def _short(cause: str) -> str:
    """Return a Java error without its package."""
    name, colon, message = cause.partition(": ")
    return name.rpartition(".")[2] + colon + message if " " not in name else cause


def _last_error(trace: str) -> str:
    """Return the line that ends a traceback, and those that go on with it."""
    told: list[str] = []
    for line in trace.splitlines()[1:]:
        if told and (not line.strip() or _JAVA_FRAME.match(line) or line.startswith("Driver stacktrace")):
            break
        if told or (line and not line[0].isspace()):
            told.append(line.strip())
    return " ".join(told)


def _advice(error: BaseException, words: str) -> str:
    """Return what to do about an error that has one remedy, or nothing."""
    if isinstance(error, ModuleNotFoundError) or "ModuleNotFoundError" in words:
        return (
            ". A module of your own goes into root_path or, as .py or .zip, into libs; one from elsewhere"
            " into a python_env"
        )
    if isinstance(error, EOFError) and "reading a line" in words:
        return ". Nobody can type into a job: give what the program asks for in app_params"
    if "maxResultSize" in words:
        return ". Collect less, or raise spark.driver.maxResultSize in spark_conf"
    if "QuotaExceeded" in words:
        return ". Your files and what your jobs left have one quota: delete what you do not need"
    return ""


def _bounded(words: str) -> str:
    return " ".join(words.split())[:_WORDS]
