"""The life of a job: every change of its status, each with a time and a reason, whoever finds out.

    submitted -> queued -> accepted -> running -> succeeded | failed | cancelled | lost
    any open status -> cancelling -> cancelled, or failed where the market stops it

`submitted`: stored; `queued`: Airflow's task has begun; `accepted`: YARN has the application; `running`: its
driver runs. A status never goes back, and an ended job never changes: each function says whether it did.
"""

from __future__ import annotations

from dataclasses import dataclass

from market import db
from market.clock import now_ms
from market.credits import ledger
from market.db import Cursor
from market.jobs.store import ENDED

_WAY = ("submitted", "queued", "accepted", "running")
STOPS = ("credit_exhausted", "max_duration", "no_capacity", "over_size")  # why the market stops a job


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


def claim(job_id: str) -> bool:
    """Take a job for submission to YARN; False if it was cancelled, or has ended, meanwhile."""
    with db.transaction() as cursor:
        status = _lock(cursor, job_id)
        if status == "submitted":
            cursor.execute("UPDATE job SET status = 'queued' WHERE job_id = %s", [job_id])
            record(cursor, job_id, "queued")
        return status in _WAY


def submitted(job_id: str, application_id: str) -> bool:
    """Store the application of a job; False if the job is to be stopped, or has ended."""
    with db.transaction() as cursor:
        status = _lock(cursor, job_id)
        cursor.execute(
            "UPDATE job SET application_id = %s WHERE job_id = %s AND application_id IS NULL",
            [application_id, job_id],
        )
        return status in _WAY


def move(job_id: str, status: str, application_id: str, at_ms: int | None = None) -> bool:
    """Move a job on to `accepted` or `running`; never back. Tell whether it moved."""
    with db.transaction() as cursor:
        before = _lock(cursor, job_id)
        if before not in _WAY or _WAY.index(before) >= _WAY.index(status):
            return False
        cursor.execute(
            "UPDATE job SET status = %s, application_id = coalesce(application_id, %s),"
            " started_ms = CASE WHEN %s = 'running' THEN coalesce(started_ms, %s) ELSE started_ms END"
            " WHERE job_id = %s",
            [status, application_id, status, at_ms or now_ms(), job_id],
        )
        record(cursor, job_id, status, at_ms=at_ms)
        return True


def stop(job_id: str, reason_code: str, reason: str, by: str | None = None) -> str:
    """Ask for a job's end and return its status after it.

    A job that YARN cannot know yet ends at once; an ended one stays as it is.
    """
    with db.transaction() as cursor:
        before = _lock(cursor, job_id)
        if before in ENDED or before == "cancelling":
            return before
        if before == "submitted":
            end = End("cancelled" if reason_code == "cancelled" else "failed", reason_code, reason)
            _end(cursor, job_id, end, by)
            return end.status
        cursor.execute(
            "UPDATE job SET status = 'cancelling', reason_code = %s, reason = %s, cancelled_by = %s"
            " WHERE job_id = %s",
            [reason_code, reason, by, job_id],
        )
        record(cursor, job_id, "cancelling", reason)
        return "cancelling"


def end(job_id: str, found: End) -> bool:
    """Close a job. What was asked for before counts: a job that was being stopped ends for that reason.

    Gives back the hold of a job that never held a container; of others the settlement does. Tell whether it
    was open.
    """
    with db.transaction() as cursor:
        before = _lock(cursor, job_id)
        if before in ENDED:
            return False
        _end(cursor, job_id, _as_asked(cursor, job_id, before, found))
        return True


def _as_asked(cursor: Cursor, job_id: str, before: str, found: End) -> End:
    """Return the end in the light of what was asked: success is success, all else is what stopped it."""
    if before != "cancelling" or found.status == "succeeded":
        return found
    cursor.execute("SELECT reason_code, reason FROM job WHERE job_id = %s", [job_id])
    row = cursor.fetchone()
    status = "failed" if row.reason_code in STOPS else "cancelled"
    return End(status, row.reason_code, row.reason, found.at_ms)


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
