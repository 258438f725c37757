"""The parser of a command line: what is wrong is told with the usage of the very command and its help."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from distributedmarket.cli import exits


class Parser(argparse.ArgumentParser):
    """Of all commands, or of one. What a command does not know is its own error, not that of the whole.

    `elsewhere` names commands that another parser knows.
    """

    elsewhere: Sequence[str] = ()

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse the arguments; those that are not known are an error."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"not known here: {' '.join(rest)}{self._meant(rest)}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where the help is; end with the code for a wrong usage."""
        self.print_usage(sys.stderr)
        self.exit(exits.USAGE, f"{self.prog}: {message}\nSee {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            meant = _close(str(value), [*action.choices, *self.elsewhere])
            raise argparse.ArgumentError(None, f"there is no command {value}{meant}")
        super()._check_value(action, value)

    def _meant(self, rest: Sequence[str]) -> str:
        """Return which option was meant, if one is written much like what is not known."""
        known = [option for option in self._option_string_actions if option.startswith("--")]
        words = (word.partition("=")[0] for word in rest if word.startswith("--"))
        return next((meant for meant in (_close(word, known) for word in words) if meant), "")


def _close(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""
