"""What a command prints: tables and figures for people, JSON for programs, colours on a terminal only."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence

from distributedmarket.cli.text import clean

_COLOURS = {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2"}
_OF_STATUS = {
    "succeeded": "green",
    "active": "green",
    "failed": "red",
    "lost": "red",
    "rejected": "red",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "draining": "yellow",
    "running": "bold",
}
_RIGHT = ">"


class Output:
    """Prints answers. A heading that begins with `>` has figures below it, which stand at the right."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.is_terminal = sys.stdout.isatty()
        self.coloured = (
            self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )

    def answer(self, data: object, show: Callable[[], object]) -> None:
        """Print an answer: as JSON where that is wanted, else by `show`."""
        if self.as_json:
            print(json.dumps(data, indent=1))
        else:
            show()

    def line(self, text: str = "") -> None:
        """Print a line for people."""
        if not self.as_json:
            print(text, flush=True)

    def colour(self, text: str, name: str) -> str:
        """Return a text in a colour, or as it is."""
        return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m" if self.coloured and text.strip() else text

    def status(self, word: str) -> str:
        """Return a status in its colour."""
        return self.colour(word, _OF_STATUS[word.strip()]) if word.strip() in _OF_STATUS else word

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
        """Print rows below headings, or what is said where there are none."""
        if not rows:
            self.line(empty)
            return
        titles = [heading.lstrip(_RIGHT) for heading in headings]
        cells = [[clean(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
        self.line(self.colour(self._row(headings, titles, widths), "dim"))
        for row in cells:
            self.line(self._row(headings, row, widths))

    def _row(self, headings: Sequence[str], cells: Sequence[str], widths: Sequence[int]) -> str:
        parts = []
        for heading, cell, width in zip(headings, cells, widths, strict=True):
            padded = cell.rjust(width) if heading.startswith(_RIGHT) else cell.ljust(width)
            parts.append(self.status(padded))
        return "  ".join(parts).rstrip()

    def figures(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Print names with their values; a pair without a value is left out."""
        shown = [(name, clean(value)) for name, value in pairs if value not in ("", "-")]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.line(f"{self.colour(name.ljust(width), 'dim')}  {self.status(value)}")


class Live:
    """One line at the bottom of a terminal that changes; elsewhere nothing but what stays is printed."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._active = output.is_terminal and not output.as_json
        self._shown = False

    def show(self, text: str) -> None:
        """Show a text in the place of the one before."""
        if self._active:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write(f"\r\x1b[K{clean(text)[:width]}")
            sys.stdout.flush()
            self._shown = True

    def say(self, text: str) -> None:
        """Print a line that stays, above it."""
        self.clear()
        self._output.line(text)

    def write(self, text: str) -> None:
        """Print a text that stays, as it is."""
        self.clear()
        sys.stdout.write(text)
        sys.stdout.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stdout.write("\r\x1b[K")
            sys.stdout.flush()
            self._shown = False
