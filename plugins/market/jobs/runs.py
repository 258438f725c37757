"""Runs in the database: each is what YARN knows as one application.

A job has points, and a point has runs, one after the other. A run is named by its tag. That of a plain job is
the job's id, that of a sweep's point `<job_id>-<point>`; from the second attempt on its number stands behind:
`<job_id>-<point>.2`. So no two runs share a tag, and whoever submits can tell by it whether somebody has
submitted this run before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2.extras import execute_values

from market.jobs.spec import JobSpec
from market.jobs.store import Job
from market.kit import database
from market.kit.database import Cursor

_COLUMNS = "point, attempt, tag, status, since_ms, application_id, reason_code, reason, started_ms, ended_ms"


@dataclass(frozen=True)
class Run:
    """A run with its job. Times are epoch ms; `since_ms` is when it came to this status."""

    job: Job
    point: int
    attempt: int
    tag: str
    status: str
    since_ms: int
    application_id: str | None
    reason_code: str | None
    reason: str
    started_ms: int | None
    ended_ms: int | None

    @property
    def job_id(self) -> str:
        """Its job."""
        return self.job.job_id

    @property
    def spec(self) -> JobSpec:
        """What its job is."""
        return self.job.spec

    @property
    def ended(self) -> bool:
        """Tell whether it has come to its end."""
        return self.ended_ms is not None

    @property
    def place(self) -> int | None:
        """The number that people see of its point: None where the job has no others."""
        return self.spec.place(self.point)


def first_tag(job_id: str, place: int | None) -> str:
    """Return the tag of a point's first run."""
    return job_id if place is None else f"{job_id}-{place}"


def point_tag(tag: str) -> str:
    """Return the tag that all runs of a point have beside their own: that of its first."""
    return tag.partition(".")[0]


def next_tag(tag: str, attempt: int) -> str:
    """Return the tag of the run that follows this attempt of a point."""
    return f"{point_tag(tag)}.{attempt + 1}"


def job_id_of(tag: str) -> str:
    """Return the job that a run belongs to."""
    return tag.partition("-")[0].partition(".")[0]


def add(cursor: Cursor, job_id: str, spec: JobSpec, at_ms: int) -> None:
    """Store the points of a new job, and the first run of each."""
    points = list(spec.points.items())
    execute_values(
        cursor,
        "INSERT INTO job_point (job_id, point, params) VALUES %s",
        [(job_id, number, json.dumps(params)) for number, params in points],
    )
    execute_values(
        cursor,
        "INSERT INTO run (job_id, point, attempt, tag, since_ms) VALUES %s",
        [(job_id, number, 1, first_tag(job_id, spec.place(number)), at_ms) for number, _ in points],
    )


def of_point(job: Job, point: int) -> Run | None:
    """Return the last run of a point; None if the job has no such point."""
    return next(iter(_where(job, "point = %s ORDER BY attempt DESC LIMIT 1", [point])), None)


def with_application(job: Job) -> list[Run]:
    """Return the runs of a job that had an application, by point and attempt."""
    return _where(job, "application_id IS NOT NULL ORDER BY point, attempt", [])


def under_way(jobs: Sequence[Job]) -> list[Run]:
    """Return the runs of these jobs that were begun and have not ended."""
    by_id = {job.job_id: job for job in jobs}
    with database.transaction() as cursor:
        cursor.execute(
            f"SELECT job_id, {_COLUMNS} FROM run WHERE ended_ms IS NULL AND status <> 'waiting'"  # noqa: S608
            " ORDER BY job_id, point"
        )
        return [Run(by_id[row.job_id], *row[1:]) for row in cursor.fetchall() if row.job_id in by_id]


def tags_under_way(stopping: bool = False) -> set[str]:
    """Return the tags of the runs that were begun and have not ended, or of those that are being stopped."""
    chosen = "status = 'cancelling'" if stopping else "status <> 'waiting'"
    with database.transaction() as cursor:
        cursor.execute(f"SELECT tag FROM run WHERE ended_ms IS NULL AND {chosen}")  # noqa: S608
        return {row.tag for row in cursor.fetchall()}


def handed_over(tag: str) -> bool:
    """Tell whether a run was given to YARN, or may have been."""
    with database.transaction() as cursor:
        cursor.execute("SELECT FROM submission WHERE tag = %s", [tag])
        return cursor.rowcount == 1


def ended_of(tags: Sequence[str]) -> set[str]:
    """Return those of the tags whose runs have ended."""
    with database.transaction() as cursor:
        cursor.execute("SELECT tag FROM run WHERE ended_ms IS NOT NULL AND tag = ANY (%s)", [list(tags)])
        return {row.tag for row in cursor.fetchall()}


def idle_since() -> dict[str, int]:
    """Return since when nothing has moved in open jobs of which nothing runs: epoch ms by job."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id, max(since_ms) AS since_ms FROM run"
            " WHERE job_id IN (SELECT job_id FROM run WHERE ended_ms IS NULL)"
            " GROUP BY job_id HAVING NOT bool_or(status IN ('running', 'cancelling'))"
        )
        return {row.job_id: row.since_ms for row in cursor.fetchall()}


def _where(job: Job, rest: str, values: list[Any]) -> list[Run]:
    with database.transaction() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM run WHERE job_id = %s AND {rest}", [job.job_id, *values])  # noqa: S608
        return [Run(job, *row) for row in cursor.fetchall()]
