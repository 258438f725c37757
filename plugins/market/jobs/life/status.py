"""The life of a job: every change of its status, each with a time and a reason, whoever finds out.

    submitted -> queued -> accepted -> running -> succeeded | failed | cancelled | lost
    any open status -> cancelling -> cancelled, or failed where the market stops it

`submitted`: stored; `queued`: Airflow's task has begun; `accepted`: YARN has the application; `running`: its
driver runs. A status never goes back, and an ended job never changes: each function says whether it did.

A sweep has points, each with a way of its own (points.py); it is as far as the first of them, and ends with
the last. `tag` names a run: a job by its id, a point of a sweep by `<job_id>-<point>`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from market.credits import ledger
from market.jobs import points
from market.jobs.spec import JobSpec
from market.kit import database
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.vocabulary import ENDED, STOPS, WAY

_NAMED = 10  # points in a reason


@dataclass(frozen=True)
class End:
    """How a job ended. `reason_code` None: as it should."""

    status: str
    reason_code: str | None
    reason: str
    at_ms: int | None = None  # None: now


def record(cursor: Cursor, job_id: str, status: str, reason: str = "", at_ms: int | None = None) -> None:
    """Write down a status in the job's history."""
    cursor.execute(
        "INSERT INTO job_status (job_id, at_ms, status, reason) VALUES (%s, %s, %s, %s)",
        [job_id, at_ms or now_ms(), status, reason],
    )


@database.again
def claim(tag: str) -> bool:
    """Take a run for submission to YARN; False if it was cancelled, or has ended, meanwhile."""
    job_id, point = points.parts(tag)
    with database.transaction() as cursor:
        status = _lock(cursor, job_id)
        if status == "submitted":
            cursor.execute("UPDATE job SET status = 'queued' WHERE job_id = %s", [job_id])
            record(cursor, job_id, "queued")
        if status not in WAY:
            return False
        return point is None or points.claim(cursor, job_id, point)


@database.again
def submitted(tag: str, application_id: str) -> bool:
    """Store the application of a run; False if it is to be stopped, or has ended.

    The application of a sweep itself is that of the point which was first: it says that something ran.
    """
    job_id, point = points.parts(tag)
    with database.transaction() as cursor:
        status = _lock(cursor, job_id)
        cursor.execute(
            "UPDATE job SET application_id = %s WHERE job_id = %s AND application_id IS NULL",
            [application_id, job_id],
        )
        goes_on = point is None or points.submitted(cursor, job_id, point, application_id)
        return goes_on and status in WAY


@database.again
def move(tag: str, status: str, application_id: str, at_ms: int | None = None) -> bool:
    """Move a run on to `accepted` or `running`; never back. Tell whether it moved."""
    job_id, point = points.parts(tag)
    with database.transaction() as cursor:
        before = _lock(cursor, job_id)
        if before not in WAY:
            return False
        if point is not None and not points.move(cursor, job_id, point, status, application_id, at_ms):
            return False
        if WAY.index(before) >= WAY.index(status):
            return point is not None
        cursor.execute(
            "UPDATE job SET status = %s, application_id = coalesce(application_id, %s),"
            " started_ms = CASE WHEN %s = 'running' THEN coalesce(started_ms, %s) ELSE started_ms END"
            " WHERE job_id = %s",
            [status, application_id, status, at_ms or now_ms(), job_id],
        )
        record(cursor, job_id, status, at_ms=at_ms)
        return True


@database.again
def stop(tag: str, reason_code: str, reason: str, by: str | None = None) -> str:
    """Ask for a run's end, of a sweep that of all its points; return the job's status after it.

    What YARN cannot know yet ends at once; an ended one stays as it is.
    """
    job_id, point = points.parts(tag)
    stopped = End("cancelled" if reason_code == "cancelled" else "failed", reason_code, reason)
    with database.transaction() as cursor:
        before = _lock(cursor, job_id)
        if before in ENDED or before == "cancelling":
            return before
        points.stop(cursor, job_id, point, stopped)
        if point is not None:
            return _end_of_sweep(cursor, job_id) or before
        if before == "submitted":
            _end(cursor, job_id, stopped, by)
            return stopped.status
        cursor.execute(
            "UPDATE job SET status = 'cancelling', reason_code = %s, reason = %s, cancelled_by = %s"
            " WHERE job_id = %s",
            [reason_code, reason, by, job_id],
        )
        record(cursor, job_id, "cancelling", reason)
        return _end_of_sweep(cursor, job_id) or "cancelling"


@database.again
def end(tag: str, found: End) -> bool:
    """Close a run. What was asked for before counts: one that was being stopped ends for that reason.

    A point that failed waits for another run while it has one left. Gives back the hold of a job that never
    held a container; of others the settlement does. Tell whether the run was open.
    """
    job_id, point = points.parts(tag)
    with database.transaction() as cursor:
        before = _lock(cursor, job_id)
        if before in ENDED:
            return False
        if point is not None:
            return _end_point(cursor, job_id, point, found)
        _end(cursor, job_id, _as_asked(cursor, job_id, before, found))
        return True


def _end_point(cursor: Cursor, job_id: str, point: int, found: End) -> bool:
    before, code, reason = points.asked(cursor, job_id, point)
    if before == "cancelling" and found.status != "succeeded":
        found = _stopped(code, reason, found)
    cursor.execute("SELECT status, spec FROM job WHERE job_id = %s", [job_id])
    job = cursor.fetchone()
    tries = 1 + (JobSpec.from_json(job.spec).point_retries if job.status in WAY else 0)
    came_to = points.end(cursor, job_id, point, found, tries)
    if came_to != "closed" and found.status != "succeeded":
        said = f"point {point}: {found.reason}" + (" It runs again." if came_to == "again" else "")
        record(cursor, job_id, job.status, said, found.at_ms)
    _end_of_sweep(cursor, job_id)
    return came_to != "closed"


def _end_of_sweep(cursor: Cursor, job_id: str) -> str | None:
    """Close a sweep whose last point has ended; return its status then, None for anything else."""
    cursor.execute(
        "SELECT point, status, reason_code, ended_ms FROM job_point WHERE job_id = %s ORDER BY point",
        [job_id],
    )
    rows = cursor.fetchall()
    if not rows or any(row.ended_ms is None for row in rows):
        return None
    found = _verdict(rows)
    before = _lock(cursor, job_id)
    asked = _as_asked(cursor, job_id, before, found)
    _end(cursor, job_id, asked)
    return asked.status


def _verdict(rows: list[Any]) -> End:
    """Return how a sweep has ended whose points ended so."""
    at_ms = max(row.ended_ms for row in rows)
    bad = [row for row in rows if row.status != "succeeded"]
    if not bad:
        return End("succeeded", None, "", at_ms)
    alike = len(bad) == len(rows) and len({(row.status, row.reason_code) for row in bad}) == 1
    status, code = (bad[0].status, bad[0].reason_code) if alike else ("failed", "points_failed")
    counted = ", ".join(f"{count} {name}" for name, count in sorted(Counter(r.status for r in bad).items()))
    named = ", ".join(str(row.point) for row in bad[:_NAMED]) + (", ..." if len(bad) > _NAMED else "")
    return End(
        status, code, f"Of {len(rows)} points {counted}: {named}. The table of points says why.", at_ms
    )


def _as_asked(cursor: Cursor, job_id: str, before: str, found: End) -> End:
    """Return the end in the light of what was asked: success is success, all else is what stopped it."""
    if before != "cancelling" or found.status == "succeeded":
        return found
    cursor.execute("SELECT reason_code, reason FROM job WHERE job_id = %s", [job_id])
    row = cursor.fetchone()
    return _stopped(row.reason_code, row.reason, found)


def _stopped(code: str | None, reason: str, found: End) -> End:
    return End("failed" if code in STOPS else "cancelled", code, reason, found.at_ms)


def _end(cursor: Cursor, job_id: str, end: End, by: str | None = None) -> None:
    at_ms = end.at_ms or now_ms()
    cursor.execute(
        "UPDATE job SET status = %s, reason_code = %s, reason = %s, ended_ms = greatest(%s, added_ms),"
        " cancelled_by = coalesce(cancelled_by, %s) WHERE job_id = %s RETURNING application_id",
        [end.status, end.reason_code, end.reason, at_ms, by, job_id],
    )
    never_ran = cursor.fetchone().application_id is None
    record(cursor, job_id, end.status, end.reason, at_ms)
    if never_ran:
        ledger.release_hold(cursor, job_id, f"release:{job_id}")


def _lock(cursor: Cursor, job_id: str) -> str:
    """Lock a job's row and return its status. Holds are locked after jobs, everywhere."""
    cursor.execute("SELECT status FROM job WHERE job_id = %s FOR UPDATE", [job_id])
    status: str = cursor.fetchone().status
    return status
