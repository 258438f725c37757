"""The points of a sweep in the database: each has a way of its own, within its job's.

    waiting -> queued -> accepted -> running -> succeeded | failed | cancelled | lost
    queued, accepted or running -> cancelling -> failed | cancelled
    failed | lost -> waiting, while it may be run again

Whoever changes a point holds the lock of its job's row; the caller passes the cursor. `tag` is what YARN
knows a run by: `<job_id>-<point>`, for a job without a grid its id alone.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg2.extras import execute_values

from market.jobs import grid as grids
from market.kit import database
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.vocabulary import ENDED, POINT_WAY

if TYPE_CHECKING:
    from market.jobs.life.status import End
    from market.jobs.spec import JobSpec

_COLUMNS = (
    "job_id, point, params, status, since_ms, application_id, reason_code, reason, started_ms, ended_ms,"
    " metrics"
)


@dataclass(frozen=True)
class Point:
    """A point of a sweep, as its last run stands. Times are epoch ms."""

    job_id: str
    point: int
    params: grids.Point
    status: str
    since_ms: int
    application_id: str | None
    reason_code: str | None
    reason: str
    started_ms: int | None
    ended_ms: int | None
    metrics: dict[str, grids.Value] | None

    @property
    def tag(self) -> str:
        """What YARN knows it by."""
        return tag_of(self.job_id, self.point)


def tag_of(job_id: str, point: int | None) -> str:
    """Return the tag of a run."""
    return job_id if point is None else f"{job_id}-{point}"


def parts(tag: str) -> tuple[str, int | None]:
    """Return the job and the point that a tag names."""
    job_id, dash, point = tag.partition("-")
    return job_id, int(point) if dash else None


def add(cursor: Cursor, job_id: str, spec: JobSpec, at_ms: int) -> None:
    """Store the points of a new job; of one without a grid none."""
    rows = [(job_id, number, json.dumps(params), at_ms) for number, params in spec.points.items()]
    if rows:
        execute_values(cursor, "INSERT INTO job_point (job_id, point, params, since_ms) VALUES %s", rows)


def of_job(job_id: str) -> list[Point]:
    """Return the points of a job, by number."""
    with database.transaction() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM job_point WHERE job_id = %s ORDER BY point", [job_id])  # noqa: S608
        return [Point(*row) for row in cursor.fetchall()]


def open_ones() -> dict[str, list[Point]]:
    """Return the points that have not ended, by their job."""
    found: dict[str, list[Point]] = {}
    with database.transaction() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM job_point WHERE ended_ms IS NULL ORDER BY job_id, point")  # noqa: S608
        for row in cursor.fetchall():
            found.setdefault(row.job_id, []).append(Point(*row))
    return found


def under_way() -> set[str]:
    """Return the tags of the points that have a run which has not ended."""
    with database.transaction() as cursor:
        cursor.execute("SELECT job_id, point FROM job_point WHERE ended_ms IS NULL AND status <> 'waiting'")
        return {tag_of(row.job_id, row.point) for row in cursor.fetchall()}


def idle_since() -> dict[str, int]:
    """Return since when nothing has moved in open sweeps of which nothing runs: epoch ms by job."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id, max(since_ms) AS since_ms FROM job_point"
            " WHERE job_id IN (SELECT job_id FROM job_point WHERE ended_ms IS NULL)"
            " GROUP BY job_id HAVING NOT bool_or(status IN ('running', 'cancelling'))"
        )
        return {row.job_id: row.since_ms for row in cursor.fetchall()}


def counts(job_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return how many points of each job have each status."""
    found: dict[str, dict[str, int]] = {}
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id, status, count(*) AS points FROM job_point WHERE job_id = ANY (%s)"
            " GROUP BY job_id, status ORDER BY job_id, status",
            [list(job_ids)],
        )
        for row in cursor.fetchall():
            found.setdefault(row.job_id, {})[row.status] = row.points
    return found


def ended_applications(tag: str) -> set[str]:
    """Return the applications of a point's earlier runs: a new run is none of them."""
    job_id, point = parts(tag)
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT application_id FROM point_run WHERE job_id = %s AND point = %s"
            " AND application_id IS NOT NULL",
            [job_id, point],
        )
        return {row.application_id for row in cursor.fetchall()}


# --- changes, under the lock of the job's row ---


def claim(cursor: Cursor, job_id: str, point: int) -> bool:
    """Take a point for submission to YARN; False if it is stopped, or has ended."""
    status = _status(cursor, job_id, point)
    if status == "waiting":
        _move(cursor, job_id, point, "queued")
    return status in POINT_WAY


def submitted(cursor: Cursor, job_id: str, point: int, application_id: str) -> bool:
    """Store the application of a point; False if it is to be stopped, or has ended."""
    cursor.execute(
        "UPDATE job_point SET application_id = %s"
        " WHERE job_id = %s AND point = %s AND application_id IS NULL AND ended_ms IS NULL",
        [application_id, job_id, point],
    )
    return _status(cursor, job_id, point) in POINT_WAY


def move(
    cursor: Cursor, job_id: str, point: int, status: str, application_id: str, at_ms: int | None
) -> bool:
    """Move a point on to `accepted` or `running`; never back. Tell whether it moved."""
    before = _status(cursor, job_id, point)
    # A waiting one has no run: what is seen is the end of its last one.
    if before not in POINT_WAY[1:] or POINT_WAY.index(before) >= POINT_WAY.index(status):
        return False
    _move(cursor, job_id, point, status)
    cursor.execute(
        "UPDATE job_point SET application_id = coalesce(application_id, %s),"
        " started_ms = CASE WHEN %s = 'running' THEN coalesce(started_ms, %s) ELSE started_ms END"
        " WHERE job_id = %s AND point = %s",
        [application_id, status, at_ms or now_ms(), job_id, point],
    )
    return True


def stop(cursor: Cursor, job_id: str, point: int | None, end: End) -> None:
    """Ask for the end of a point, None: of all. One that YARN cannot know yet ends at once."""
    now = now_ms()
    cursor.execute(
        "UPDATE job_point SET status = %s, reason_code = %s, reason = %s, since_ms = %s, ended_ms = %s"
        " WHERE job_id = %s AND point = coalesce(%s, point) AND status = 'waiting'",
        [end.status, end.reason_code, end.reason, now, end.at_ms or now, job_id, point],
    )
    cursor.execute(
        "UPDATE job_point SET status = 'cancelling', reason_code = %s, reason = %s, since_ms = %s"
        " WHERE job_id = %s AND point = coalesce(%s, point) AND status IN ('queued', 'accepted', 'running')",
        [end.reason_code, end.reason, now, job_id, point],
    )


def end(cursor: Cursor, job_id: str, point: int, found: End, tries: int) -> str:
    """Close a run of a point; return `ended`, `again` (it waits for another run) or `closed` (before).

    `tries` is how often it may be run in all.
    """
    cursor.execute(
        "SELECT status, application_id, started_ms, (SELECT count(*) FROM point_run r"
        " WHERE r.job_id = p.job_id AND r.point = p.point) AS runs"
        " FROM job_point p WHERE job_id = %s AND point = %s",
        [job_id, point],
    )
    row = cursor.fetchone()
    if row.status in (*ENDED, "waiting"):
        return "closed"
    at_ms = found.at_ms or now_ms()
    cursor.execute(
        "INSERT INTO point_run VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            *(job_id, point, row.runs + 1, row.application_id, found.status, found.reason_code, found.reason),
            *(row.started_ms, at_ms),
        ],
    )
    again = found.status in ("failed", "lost") and row.status != "cancelling" and row.runs + 1 < tries
    cursor.execute(
        "UPDATE job_point SET status = %s, reason_code = %s, reason = %s, since_ms = %s, ended_ms = %s,"
        " application_id = CASE WHEN %s THEN NULL ELSE application_id END,"
        " started_ms = CASE WHEN %s THEN NULL ELSE started_ms END WHERE job_id = %s AND point = %s",
        [
            *("waiting" if again else found.status, found.reason_code, found.reason, now_ms()),
            *(None if again else at_ms, again, again, job_id, point),
        ],
    )
    return "again" if again else "ended"


def asked(cursor: Cursor, job_id: str, point: int) -> tuple[str, str | None, str]:
    """Return a point's status, and why it is being stopped or was: code and words."""
    cursor.execute(
        "SELECT status, reason_code, reason FROM job_point WHERE job_id = %s AND point = %s", [job_id, point]
    )
    row = cursor.fetchone()
    return row.status, row.reason_code, row.reason


def as_csv(found: Sequence[Point]) -> str:
    """Return points as comma-separated values: parameters, how each ended, what it reported."""
    names = list(found[0].params) if found else []
    metrics = sorted({name for point in found for name in point.metrics or {}})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["point", *names, "status", "seconds", *metrics, "reason"])
    for point in found:
        shown = to_wire(point)
        seconds = "" if shown["duration"] is None else shown["duration"] / 1000
        values = [grids.text(point.params[name]) for name in names]
        reported = [
            grids.text(shown["metrics"][name]) if name in shown["metrics"] else "" for name in metrics
        ]
        writer.writerow([point.point, *values, point.status, seconds, *reported, point.reason])
    return out.getvalue()


def to_wire(point: Point) -> dict[str, Any]:
    """Return a point as the routes and the pages show it: PointSchema."""
    until = point.ended_ms or now_ms()
    return {
        "point": point.point,
        "params": point.params,
        "status": point.status,
        "reason_code": point.reason_code,
        "reason": point.reason,
        "application_id": point.application_id,
        "start_time": point.started_ms,
        "end_time": point.ended_ms,
        "duration": None if point.started_ms is None else max(0, until - point.started_ms),
        "metrics": point.metrics or {},
    }


def _status(cursor: Cursor, job_id: str, point: int) -> str:
    cursor.execute("SELECT status FROM job_point WHERE job_id = %s AND point = %s", [job_id, point])
    status: str = cursor.fetchone().status
    return status


def _move(cursor: Cursor, job_id: str, point: int, status: str) -> None:
    cursor.execute(
        "UPDATE job_point SET status = %s, since_ms = %s WHERE job_id = %s AND point = %s",
        [status, now_ms(), job_id, point],
    )
