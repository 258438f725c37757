"""Which job or machine is meant: by its id, the last digits of it, or its name."""

from __future__ import annotations

import re

from distributedmarket.cli.text import clean
from distributedmarket.errors import SetupError
from distributedmarket.sdk import Job, Market, models

_ID = re.compile(r"[0-9a-f]{32}")
_LOOKED_AT = 200  # of the newest jobs


def job(market: Market, word: str) -> Job:
    """Return the job that a word means; without one the newest. Raises SetupError, MarketApiError."""
    if _ID.fullmatch(word):
        return market.job(word)
    jobs = [*market.jobs(_LOOKED_AT if word else 1)]
    if not word:
        if not jobs:
            raise SetupError("you have no jobs yet: market run PROGRAM begins one")
        return jobs[0]
    named = next((one for one in jobs if one.record["job_name"] == word), None)
    if named is not None:
        return named
    found = [one for one in jobs if _is_part(word, one.id)]
    if len(found) != 1:
        raise SetupError(_ambiguous("job", word, len(found), "market jobs lists them"))
    return found[0]


def machine(market: Market, word: str) -> models.Machine:
    """Return the machine of one's own that a word means. Raises SetupError, MarketApiError."""
    if _ID.fullmatch(word):
        return market.routes.machine(word)
    machines = [*market.machines()]
    named = next((one for one in machines if one["display_name"] == word), None)
    if named is not None:
        return named
    found = [one for one in machines if _is_part(word, one["machine_id"])]
    if len(found) != 1:
        raise SetupError(_ambiguous("machine", word, len(found), "market machines lists them"))
    return found[0]


def _is_part(word: str, identity: str) -> bool:
    """Tell whether a word is the end of an id, or its beginning, which those made at one time share."""
    return identity.endswith(word) or identity.startswith(word)


def _ambiguous(what: str, word: str, number: int, remedy: str) -> str:
    begin = f"there is no {what}" if not number else f"{number} {what}s have an id with"
    return f"{begin} {clean(word)}: {remedy}"
