"""The rule on passwords."""

from __future__ import annotations

import pytest

from market.people import passwords


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "8 to 256 characters"),
        ("x" * 257, "8 to 256 characters"),
        (" " * 8, "different characters"),
        ("12121212", "different characters"),
        ("Password", "everybody tries first"),
        (" password1 ", "everybody tries first"),
        ("anna-lena", "your name or your address"),
        ("anna.lena", "your name or your address"),
        ("Anna.Lena@example.org", "your name or your address"),
    ],
)
def test_what_is_tried_first_is_refused(password: str, words: str) -> None:
    assert words in passwords.problem(password, "anna-lena", "anna.lena@example.org")


@pytest.mark.parametrize("password", ["correct horse battery", "ein langer Satz", "7f3a9c1e", "пароль-мой"])
def test_what_is_long_enough_is_taken(password: str) -> None:
    assert passwords.problem(password, "anna-lena", "anna.lena@example.org") == ""


def test_the_list_is_in_the_form_in_which_it_is_looked_up() -> None:
    known = passwords._known()
    assert len(known) > 80
    assert all(word == word.strip().casefold() and len(word) >= passwords.SHORTEST for word in known)
