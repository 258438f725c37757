"""WCAG 2: text has at least 4.5 : 1 against its ground, lines of controls at least 3 : 1."""

import re
from itertools import product

import pytest

from market.web.pages.base import FOLDER

_PAIR = re.compile(r"--([a-z-]+): light-dark\(#([0-9a-f]{6}), #([0-9a-f]{6})\)")
COLOURS = {
    name: (light, dark) for name, light, dark in _PAIR.findall((FOLDER / "static" / "market.css").read_text())
}
GROUNDS = ("ground", "card", "sunken")
TEXTS = [
    *product(("text", "muted"), GROUNDS),
    *product(("accent",), ("ground", "card", "accent-soft")),
    *[(tone, f"{tone}-soft") for tone in ("good", "warn", "bad")],
    *[(tone, "card") for tone in ("good", "warn", "bad")],
    ("on-accent", "accent"),
    ("on-bad", "bad"),
    ("text", "accent-soft"),
]


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXTS)
def test_text_can_be_read(text: str, ground: str, scheme: int) -> None:
    assert contrast(COLOURS[text][scheme], COLOURS[ground][scheme]) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
def test_controls_have_an_outline(ground: str, scheme: int) -> None:
    assert contrast(COLOURS["strong-line"][scheme], COLOURS[ground][scheme]) >= 3
