"""Commands of an installation: run, and explained when they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from distributedmarket.errors import SetupError


def command(arguments: list[str], title: str, log: Path | None = None, **options: object) -> None:
    """Run a command; raise SetupError with its title when it fails.

    Its output is its own progress, or, where that says nothing to people, goes into a file.
    """
    try:
        if log is None:
            _run(arguments, options)
        else:
            with log.open("wb") as out:
                _run(arguments, {**options, "stdout": out, "stderr": subprocess.STDOUT})
    except FileNotFoundError:
        raise SetupError(f"{title}: {arguments[0]} is missing") from None
    except subprocess.CalledProcessError as error:
        where = f"{log}" if log is not None else "its message above"
        raise SetupError(f"{title} failed with exit code {error.returncode}: see {where}") from None


def _run(arguments: list[str], options: Mapping[str, object]) -> None:
    subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
