"""The end of a budget: at 90 % of a hold its owner is told, or it grows; at 100 % the job is stopped."""

from __future__ import annotations

import logging

from market.credits import ledger, projects, tariff
from market.credits.ledger import Hold
from market.credits.project_errors import ProjectRefusesError
from market.jobs.life import status
from market.jobs.spec import JobSpec
from market.jobs.store import Job
from market.kit import database
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.errors import NotEnoughCreditError
from market.kit.money import format_credits, parse_credits
from market.kit.vocabulary import ENDED

log = logging.getLogger(__name__)

_WARN_AT = 90  # percent of the hold


def over(job: Job, used_ucr: int) -> tuple[str, str] | None:
    """Look at a job's budget; return why it must be stopped, None if it may go on.

    `used_ucr` is what its containers have cost until they were last seen.
    """
    if job.status != "running":
        return None
    hold_ucr = job.hold_ucr
    if _nearly(used_ucr, hold_ucr):
        hold_ucr = _extend(job, used_ucr)
        if _nearly(used_ucr, hold_ucr):
            _warn(job, hold_ucr)
    elif job.warned_ms is not None:  # the hold has grown meanwhile
        _withdraw_warning(job)
    if used_ucr < hold_ucr:
        return None
    return "credit_exhausted", f"stopped when its hold of {format_credits(hold_ucr)} credits was used up"


def _nearly(used_ucr: int, hold_ucr: int) -> bool:
    return used_ucr * 100 >= hold_ucr * _WARN_AT


@database.again
def _extend(job: Job, used_ucr: int) -> int:
    """Let the hold grow if the job has `auto_extend_to`; return what it is then, in micro-credits."""
    if job.spec.auto_extend_to is None:
        return job.hold_ucr
    try:
        with database.transaction() as cursor:
            return _grown(cursor, job.job_id, used_ucr)
    except NotEnoughCreditError:  # another of the payer's jobs took it meanwhile
        return job.hold_ucr
    except ProjectRefusesError:  # it has ended, or the owner left it: the job ends with what it has
        return job.hold_ucr


def _grown(cursor: Cursor, job_id: str, used_ucr: int) -> int:
    cursor.execute("SELECT status, spec FROM job WHERE job_id = %s FOR UPDATE", [job_id])
    row = cursor.fetchone()
    hold = ledger.hold_of(cursor, job_id)
    assert hold is not None
    if not hold.open or row.status in (*ENDED, "cancelling") or not _nearly(used_ucr, hold.amount_ucr):
        return hold.amount_ucr
    available = ledger.balances(cursor, hold.user_id).available_ucr
    of_project = projects.left_ucr(cursor, job_id)
    if of_project is not None:
        available = min(available, of_project)
    amount_ucr = min(_next_amount(JobSpec.from_json(row.spec), hold), hold.amount_ucr + available)
    if amount_ucr <= hold.amount_ucr:
        return hold.amount_ucr
    ledger.extend_hold(cursor, job_id, amount_ucr, f"auto:{job_id}:{amount_ucr}")
    status.record(cursor, job_id, row.status, f"extended by itself to {format_credits(amount_ucr)} credits")
    log.info("job %s: its hold grew to %s", job_id, format_credits(amount_ucr))
    return amount_ucr


def _next_amount(spec: JobSpec, hold: Hold) -> int:
    """Return half as much again, at most what the job allowed and what its whole time could cost.

    In steps, so that the owner's other jobs find his credits free for as long as this one does not need them.
    """
    whole = tariff.quote_at(hold.factors, spec.at_once, spec.whole_duration, None).hold_ucr
    most = min(parse_credits(spec.auto_extend_to or "0"), whole) + hold.refunded_ucr
    return min(hold.amount_ucr + -(-hold.amount_ucr // 2), most)


def _warn(job: Job, hold_ucr: int) -> None:
    if job.warned_ms is not None:
        return
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE job SET warned_ms = %s WHERE job_id = %s AND warned_ms IS NULL AND status = 'running'",
            [now_ms(), job.job_id],
        )
        if cursor.rowcount:
            reason = f"{_WARN_AT} % of its hold of {format_credits(hold_ucr)} credits is used"
            status.record(cursor, job.job_id, "running", reason)


def _withdraw_warning(job: Job) -> None:
    with database.transaction() as cursor:
        cursor.execute("UPDATE job SET warned_ms = NULL WHERE job_id = %s", [job.job_id])
