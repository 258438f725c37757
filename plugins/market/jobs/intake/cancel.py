"""Cancelling a job, and taking an ended one off its owner's list, or onto it again."""

from __future__ import annotations

import logging
from typing import Any

import psycopg2

from market.jobs import store
from market.jobs.life import kill, status
from market.kit import audit, database
from market.kit.errors import BadInputError, ConflictError, MarketError, UnavailableError
from market.kit.vocabulary import CANCELLING
from market.people.member import Member

log = logging.getLogger(__name__)


def cancel(member: Member, job_id: str, reason: str = "") -> dict[str, Any]:
    """Stop a job in any status; return `{status, job_id}`. Of an ended job nothing changes.

    Who stops another's job, as an administrator or as a manager of the project that pays, says why: its
    owner is told by whom it was stopped. Raises NotFoundError, BadInputError without a reason. YARN is told
    before this returns; if it does not answer, the watch tells it later.
    """
    job, project = store.overseen_job(member, job_id)
    if job.user_id == member.user_id:
        return _stopped(member, job_id, f"cancelled by {member.username}" + (f": {reason}" if reason else ""))
    if not reason:
        raise BadInputError({"reason": ["is needed for another's job: its owner reads it"]})
    kind, standing = audit.ADMINISTRATION, f"the administrator {member.username}"
    if project is not None:
        kind, standing = audit.PROJECT, f"{member.username}, who manages the project {project}"
    if not job.ended:
        with database.transaction() as cursor:
            audit.write(cursor, kind, member.username, job_id, f"cancelled another's job: {reason}")
    return _stopped(member, job_id, f"cancelled by {standing}: {reason}")


def cancel_all(by: Member, user_id: str, reason: str) -> int:
    """Stop all open jobs of somebody, as an administrator, or of oneself; return how many there were.

    Raises UnavailableError if some could not be stopped; all others were then.
    """
    if by.user_id != user_id:
        by.require_admin()
    found, failed = store.open_ids(user_id), []
    for job_id in found:
        try:
            cancel(by, job_id, reason)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            raise
        except Exception:
            log.exception("job %s could not be stopped", job_id)
            failed.append(job_id)
    if failed:
        raise UnavailableError(f"{len(failed)} jobs could not be stopped, {failed[0]} first. Try again.")
    return len(found)


def _stopped(member: Member, job_id: str, words: str) -> dict[str, Any]:
    status_after = status.stop_job(job_id, "cancelled", words, by=member.username)
    if status_after == CANCELLING:
        try:
            kill.applications(job_id)
        except MarketError as error:
            log.warning("job %s is to be stopped, but %s", job_id, error.detail)
        found = store.find(job_id)
        status_after = found.status if found else status_after
    return {"status": status_after, "job_id": job_id}


def hide(member: Member, job_id: str) -> None:
    """Take an ended job off its owner's list. Raises ConflictError while it is open, NotFoundError."""
    if not store.own_job(member, job_id).ended:
        raise ConflictError("The job has not ended. Cancel it first.")
    with database.transaction() as cursor:
        cursor.execute("UPDATE job SET hidden = true WHERE job_id = %s", [job_id])


def unhide(member: Member, job_id: str) -> None:
    """Put a job onto its owner's list again; of one that is there nothing changes. Raises NotFoundError."""
    store.own_job(member, job_id)
    with database.transaction() as cursor:
        cursor.execute("UPDATE job SET hidden = false WHERE job_id = %s", [job_id])
