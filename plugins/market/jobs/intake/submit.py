"""Submitting a job: one transaction stores it, its runs, and the hold for what it may cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from market.credits import ledger, tariff
from market.credits.project_errors import ProjectRefusesError
from market.hadoop import paths
from market.jobs import runs
from market.jobs.intake import quota, request
from market.jobs.intake.quote import at_current_rate
from market.jobs.life import status
from market.jobs.spec import JobSpec
from market.kit import database, notify
from market.kit.clock import new_id, now_ms
from market.kit.database import Answering, Cursor
from market.kit.errors import BadInputError
from market.people import approvals, paying, suspension
from market.people.member import Member

_SLACK_MS = 24 * 3600 * 1000  # a hold outlives the longest that its job may take by a day


def submit(member: Member, body: Mapping[str, Any], answering: Answering | None = None) -> dict[str, Any]:
    """Check a job, hold what it may cost, and store it; return `{status, job_id, quote}`.

    The hold is taken from the project that it names, else from its owner.

    Raises BadInputError, NotEnoughCreditError, OverLimitError; RoleMissingError for an account that an
    administrator has not approved, AccountSuspendedError for one that is suspended.
    """
    spec, name = request.read(member, body)
    return submit_spec(member, spec, name, answering)


@database.again
def submit_spec(member: Member, spec: JobSpec, name: str, answering: Answering | None) -> dict[str, Any]:
    """Submit a job whose body is read and whose program is checked; returns and raises as `submit`.

    The submissions of one person run one after the other, so that no two of them pass the same limit.
    """
    job_id = new_id()
    with database.transaction() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"submit {member.user_id}"])
        approvals.check(cursor, member.user_id)
        suspension.refuse_act(cursor, member.user_id)
        quota.check(cursor, member.user_id, spec)
        quote = at_current_rate(cursor, spec)
        _store(cursor, member, job_id, name, spec, quote)
        answer = {"status": "submitted", "job_id": job_id, "quote": dict(quote.to_wire())}
        if answering is not None:
            answering(cursor, answer)
    return answer


def _store(
    cursor: Cursor, member: Member, job_id: str, name: str, spec: JobSpec, quote: tariff.Quote
) -> None:
    at_ms = now_ms()
    project_id = paying.project(cursor, member, spec.project, at_ms)
    cursor.execute(
        "INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro, weight_micro,"
        " gib_weight_micro, status, added_ms, folder, project_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'submitted', %s, %s, %s)",
        [
            *(job_id, member.user_id, name, json.dumps(spec.to_json()), spec.machine_type, spec.core_num),
            *(quote.rate_micro, quote.weight_micro, quote.gib_weight_micro, at_ms),
            paths.job_folder(member.username, job_id),
            project_id,
        ],
    )
    status.record(cursor, job_id, "submitted", at_ms=at_ms)
    runs.add(cursor, job_id, spec, at_ms)
    longest_s = spec.max_wait + math.ceil(spec.whole_duration) * (1 + spec.point_retries)
    expires_ms = at_ms + longest_s * 1000 + _SLACK_MS
    payer = project_id or member.user_id
    try:
        ledger.take_hold(cursor, job_id, payer, quote.hold_ucr, quote.rate_micro, expires_ms, at_ms)
    except ProjectRefusesError as error:  # since it was looked at above
        raise BadInputError({"project": [error.detail]}) from error
    notify.notify(cursor, notify.NEW_JOB)
