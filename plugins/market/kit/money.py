"""Credits on the wire and micro-credits (ucr) inside: 1 credit = 1 000 000 ucr, always integers."""

from __future__ import annotations

import re

UCR_PER_CREDIT = 1_000_000
_CREDITS = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,6}))?")


def format_credits(ucr: int) -> str:
    """Return micro-credits (or any figure scaled by 10^6) as a decimal string with six places."""
    sign = "-" if ucr < 0 else ""
    whole, part = divmod(abs(ucr), UCR_PER_CREDIT)
    return f"{sign}{whole}.{part:06d}"


def parse_credits(text: str) -> int:
    """Return the micro-credits that a decimal string means.

    Raises ValueError for anything but digits with at most six places: a seventh would be lost silently.
    """
    match = _CREDITS.fullmatch(text)
    if match is None:
        raise ValueError("must be a decimal number like 3.500000: at most 12 digits, and six places")
    sign, whole, part = match.groups()
    ucr = int(whole) * UCR_PER_CREDIT + int((part or "").ljust(6, "0"))
    return -ucr if sign else ucr
