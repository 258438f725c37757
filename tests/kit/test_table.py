"""Tables for spreadsheets: nothing that somebody wrote runs there as a formula."""

from __future__ import annotations

import csv
import io

import pytest

from market.kit.table import as_csv


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "-",
        "+",
        "=",
        "-1.5.2",
        "+1 2",
        "-1e",
    ],
)
def test_what_begins_like_a_formula_is_text(text: str) -> None:
    rows = list(csv.reader(io.StringIO(as_csv([text], [[text]]), newline="")))
    assert rows == [[f"'{text}"], [f"'{text}"]], "in the head as well: names are a program's words, too"


@pytest.mark.parametrize(
    "cell", ["-1.500000", "-5", "+3.0", "1e-05", "-2E+9", -5, -0.25, "a=b", "x", "", "'=1"]
)
def test_numbers_and_other_texts_are_left_alone(cell: str | float) -> None:
    assert list(csv.reader(io.StringIO(as_csv(["n", "m"], [[cell, None]])))) == [["n", "m"], [str(cell), ""]]
