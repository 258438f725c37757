"""Cancelling a job, and taking an ended one off its owner's list."""

from __future__ import annotations

import logging
from typing import Any

from market.jobs import store
from market.jobs.life import kill, status
from market.kit import audit, database
from market.kit.errors import ConflictError, MarketError
from market.kit.vocabulary import CANCELLING
from market.people.member import Member

log = logging.getLogger(__name__)


def cancel(member: Member, job_id: str) -> dict[str, Any]:
    """Stop a job in any status; return `{status, job_id}`. Of an ended job nothing changes.

    Raises NotFoundError. YARN is told before this returns; if it does not answer, the watch tells it later.
    """
    job = store.visible_job(member, job_id)
    if job.user_id != member.user_id and not job.ended:
        with database.transaction() as cursor:
            audit.write(cursor, audit.ADMINISTRATION, member.username, job_id, "cancelled another's job")
    status_after = status.stop_job(job_id, "cancelled", f"cancelled by {member.username}", by=member.username)
    if status_after == CANCELLING:
        try:
            kill.applications(job_id)
        except MarketError as error:
            log.warning("job %s is to be stopped, but %s", job.job_id, error.detail)
        status_after = (store.find(job_id) or job).status
    return {"status": status_after, "job_id": job_id}


def hide(member: Member, job_id: str) -> None:
    """Take an ended job off its owner's list. Raises ConflictError while it is open, NotFoundError."""
    if not store.own_job(member, job_id).ended:
        raise ConflictError("The job has not ended. Cancel it first.")
    with database.transaction() as cursor:
        cursor.execute("UPDATE job SET hidden = true WHERE job_id = %s", [job_id])
