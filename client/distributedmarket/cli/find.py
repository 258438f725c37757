"""Which job, machine or project is meant: by its id, the last digits of it, or its name."""

from __future__ import annotations

import re

from distributedmarket.cli.text import clean
from distributedmarket.errors import SetupError
from distributedmarket.sdk import Job, Market, models
from distributedmarket.sdk.pages import rows

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


def projects(market: Market) -> list[models.Project]:
    """Return the projects in which one has a role, newest first."""
    routes = market.routes
    return [*rows(lambda limit, offset: routes.list_projects(limit=limit, offset=offset), "projects")]


def project(market: Market, word: str) -> models.Project:
    """Return the project of this name in which one has a role. Raises SetupError."""
    found = next((one for one in projects(market) if one["name"] == word), None)
    if found is None:
        raise SetupError(f"you have no project {clean(word)}: market projects lists them")
    return found


def project_id(market: Market, word: str) -> str:
    """Return the id of the project that a word means; of an id the market says whether there is one.

    Raises SetupError, MarketApiError.
    """
    return word if _ID.fullmatch(word) else project(market, word)["project_id"]


def _is_part(word: str, identity: str) -> bool:
    """Tell whether a word is the end of an id, or its beginning, which those made at one time share."""
    return identity.endswith(word) or identity.startswith(word)


def _ambiguous(what: str, word: str, number: int, remedy: str) -> str:
    begin = f"there is no {what}" if not number else f"{number} {what}s have an id with"
    return f"{begin} {clean(word)}: {remedy}"
