"""What the market is doing, in a few figures: its open jobs and its machines."""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg2

from market.kit import database
from market.kit.errors import UnavailableError
from market.kit.vocabulary import MACHINE_LIVE, MACHINE_STATES, OPEN

_JOBS = "SELECT status AS word, count(*) AS number FROM job WHERE ended_ms IS NULL GROUP BY status"
_MACHINES = "SELECT state AS word, count(*) AS number FROM machine WHERE state = ANY(%s) GROUP BY state"


@dataclass(frozen=True)
class Overview:
    """How many jobs are open, by status, and how many machines there are, by state; in the words' order."""

    jobs: dict[str, int] = field(default_factory=dict)
    machines: dict[str, int] = field(default_factory=dict)


def look() -> Overview | None:
    """Return what the database says now; None where it does not answer."""
    try:
        with database.transaction() as cursor:
            cursor.execute(_JOBS)
            jobs = {row.word: row.number for row in cursor.fetchall()}
            cursor.execute(_MACHINES, [list(MACHINE_LIVE)])
            machines = {row.word: row.number for row in cursor.fetchall()}
    except (psycopg2.Error, UnavailableError):
        return None
    return Overview(
        {word: jobs[word] for word in OPEN if word in jobs},
        {word: machines[word] for word in MACHINE_STATES if word in machines},
    )
