"""Whole numbers in text from outside: digits 0 to 9 and nothing else, within a bound.

`str.isdigit` takes signs that `int` refuses (a raised two), and `int` refuses more than 4 300 digits.
"""

from __future__ import annotations


def parsed(text: str, highest: int, lowest: int = 0) -> int | None:
    """Return the number that a text writes in decimal digits; None if it is none, or out of its bounds."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(highest)):
        return None
    number = int(digits)
    return number if lowest <= number <= highest else None
