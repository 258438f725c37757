"""What a password must be: long enough, and none of those that everybody tries first.

No rule on kinds of characters: NIST SP 800-63B advises length and a list of known passwords instead.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from market.kit.errors import BadInputError

SHORTEST, LONGEST = 8, 256
_DISTINCT = 4  # "aaaaaaaa", eight blanks and "12121212" have fewer
# One a line, in small letters, of eight characters and more: from the beginnings of the published lists of
# leaked passwords (the UK's NCSC, 2019, for one).
_LIST = Path(__file__).with_name("known_passwords.txt")


def problem(password: str, *own: str) -> str:
    """Return what is wrong with a password, in words; empty if nothing is.

    `own` are its owner's name and e-mail address, by which a stranger would begin.
    """
    plain = password.strip().casefold()
    if not SHORTEST <= len(password) <= LONGEST:
        return f"must have {SHORTEST} to {LONGEST} characters"
    if len(set(plain)) < _DISTINCT:
        return f"needs at least {_DISTINCT} different characters"
    if plain in _known():
        return "is one of those that everybody tries first; choose another one"
    words = {word.strip().casefold() for one in own for word in (one, one.partition("@")[0]) if word}
    if plain in words:
        return "must not be your name or your address"
    return ""


def check(password: str, *own: str, field: str = "password") -> None:
    """Raise BadInputError for a password that breaks a rule; see `problem`."""
    if found := problem(password, *own):
        raise BadInputError({field: [found]})


@cache
def _known() -> frozenset[str]:
    return frozenset(_LIST.read_text().split())
