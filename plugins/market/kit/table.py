"""Tables as comma-separated values: one writer for all that people download and open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

# What a spreadsheet takes for the beginning of a formula. A plain number is none, whatever its sign.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")

Cell = str | int | float | None


def as_csv(names: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a head line and rows. What a spreadsheet would run as a formula gets an apostrophe before it.

    The names may be a program's words, too.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # so a return in a text is quoted, and begins no line
    for row in (names, *rows):
        writer.writerow([_harmless(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
