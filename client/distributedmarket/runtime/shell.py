"""Commands of an installation: run, and explained when they fail."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from distributedmarket.errors import SetupError
from distributedmarket.runtime import terminal

_LAST_LINES = 12
_LAST_BYTES = 16 << 10
_installation_log: ContextVar[Path | None] = ContextVar("installation_log", default=None)


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Have the output of commands that name no log of their own go to the end of a file."""
    before = _installation_log.set(path)
    try:
        yield
    finally:
        _installation_log.reset(before)


def command(arguments: list[str], title: str, log: Path | None = None, **options: object) -> None:
    """Run a command; raise SetupError with its title when it fails.

    Its output goes into a file, of which the last lines are shown when it fails: into a `log` of its own,
    else to the end of that of the installation (`logged`). Where there is neither, it is its progress.
    """
    common = _installation_log.get()
    shown = log or common
    try:
        if shown is None:
            _run(arguments, options)
        else:
            with shown.open("wb" if log else "ab") as out:
                _run(arguments, {**options, "stdout": out, "stderr": subprocess.STDOUT})
    except FileNotFoundError:
        raise SetupError(f"{title}: {arguments[0]} is missing") from None
    except subprocess.CalledProcessError as error:
        if shown is not None:
            _show_end(shown)
        where = f"{shown}" if shown is not None else "its message above"
        raise SetupError(f"{title} failed with exit code {error.returncode}: see {where}") from None


def _run(arguments: list[str], options: Mapping[str, object]) -> None:
    subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL, **options)  # type: ignore[call-overload]


def _show_end(log: Path) -> None:
    """Print the last lines of a log, without what a terminal would obey."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LAST_BYTES))
        text = file.read().decode(errors="replace")
    lines = [line for line in map(terminal.plain, text.split("\n")) if line]
    terminal.forget_line()
    for line in lines[-_LAST_LINES:]:
        print(f"      {line}", file=sys.stderr, flush=True)
