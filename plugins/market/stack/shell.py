"""Commands of the stack: run, and explained when they fail."""

from __future__ import annotations

import subprocess


class SetupError(Exception):
    """The stack cannot go on; the message says what to do, in one line."""


def command(arguments: list[str], what: str, **options: object) -> None:
    """Run a command whose output is its own progress; raise SetupError with `what` when it fails."""
    try:
        subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    except FileNotFoundError:
        raise SetupError(f"{what}: {arguments[0]} is missing") from None
    except subprocess.CalledProcessError as error:
        raise SetupError(f"{what} failed with exit code {error.returncode}: see its message above") from None
