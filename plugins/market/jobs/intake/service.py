"""What people do with jobs: submit, cancel, extend, hide."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from market.credits import ledger, price, tariff
from market.hadoop import paths
from market.jobs import points, runs, store
from market.jobs.intake import program
from market.jobs.intake.schemas import ExtensionSchema, JobRequestSchema, RetrySchema
from market.jobs.life import kill, status
from market.jobs.spec import JobSpec
from market.kit import database, notify, settings
from market.kit.clock import new_id, now_ms
from market.kit.database import Answering, Cursor
from market.kit.errors import BadInputError, ConflictError, MarketError, NotFoundError, OverLimitError
from market.kit.money import format_credits, parse_credits
from market.kit.vocabulary import CANCELLING, ENDED
from market.kit.wire import loaded
from market.people.member import Member

log = logging.getLogger(__name__)

_SLACK_MS = 24 * 3600 * 1000  # a hold outlives the longest that its job may take by a day


def quote(member: Member, body: Mapping[str, Any]) -> dict[str, Any]:
    """Check a job as `submit` does, except the balance, and write nothing; return `{quote}`.

    Raises BadInputError, OverLimitError.
    """
    spec, _ = _asked(member, body)
    with database.transaction() as cursor:
        _check_limits(cursor, member.user_id, spec)
        return {"quote": dict(_quote(cursor, spec).to_wire())}


def submit(member: Member, body: Mapping[str, Any], answering: Answering | None = None) -> dict[str, Any]:
    """Check a job, hold what it may cost, and store it; return `{status, job_id, quote}`.

    Raises BadInputError, NotEnoughCreditError, OverLimitError.
    """
    spec, name = _asked(member, body)
    return _submit(member, spec, name, answering)


def _asked(member: Member, body: Mapping[str, Any]) -> tuple[JobSpec, str]:
    """Return what is asked for, and the job's name."""
    asked = loaded(JobRequestSchema(), dict(body))
    entry = program.entry_file(member.username, asked)
    spec = JobSpec.of_request(asked, entry)
    _check_program(spec)
    return spec, asked.get("job_name") or _stem(entry)


def retry(
    member: Member, job_id: str, body: Mapping[str, Any], answering: Answering | None = None
) -> dict[str, Any]:
    """Submit an ended job once more, of a sweep the points that did not succeed, or those that are named.

    It is a new job, at the rate of now; a point keeps its number. Returns and raises as `submit`, and
    ConflictError while the job is open or where nothing of it is left to run, NotFoundError.
    """
    asked = loaded(RetrySchema(), dict(body))
    job = _of_owner(member, job_id)
    if not job.ended:
        raise ConflictError("The job has not ended. A failed point can be run again when it has.")
    spec = replace(job.spec, only=_points_to_retry(job, asked.get("points")))
    spec = replace(spec, max_parallel=min(spec.max_parallel, len(spec.points)))
    program.entry_file(member.username, spec.to_json())
    return _submit(member, spec, job.job_name, answering)


def _points_to_retry(job: store.Job, asked: list[int] | None) -> tuple[int, ...] | None:
    if job.spec.grid is None:
        if asked is not None:
            raise BadInputError({"points": ["This job is no sweep: it has no points."]})
        return None
    known = {point.point: point.status for point in points.of_sweep(job.job_id)}
    chosen = [number for number, status in known.items() if status != "succeeded"] if asked is None else asked
    if missing := sorted(set(chosen) - set(known)):
        raise BadInputError({"points": [f"There is no point {missing[0]}."]})
    if not chosen:
        raise ConflictError("All points of this sweep have succeeded. Name those that are to run again.")
    return tuple(sorted(set(chosen)))


@database.again
def _submit(member: Member, spec: JobSpec, name: str, answering: Answering | None) -> dict[str, Any]:
    job_id = new_id()
    with database.transaction() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"submit {member.user_id}"])
        _check_limits(cursor, member.user_id, spec)
        quoted = _quote(cursor, spec)
        _store(cursor, member, job_id, name, spec, quoted)
        answer = {"status": "submitted", "job_id": job_id, "quote": dict(quoted.to_wire())}
        if answering is not None:
            answering(cursor, answer)
    return answer


def cancel(member: Member, job_id: str) -> dict[str, Any]:
    """Stop a job in any status; return `{status, job_id}`. Of an ended job nothing changes.

    Raises NotFoundError. YARN is told before this returns; if it does not answer, the watch tells it later.
    """
    job = store.owned_job(member, job_id)
    after = status.stop_job(job_id, "cancelled", f"cancelled by {member.username}", by=member.username)
    if after == "cancelling":
        try:
            kill.applications(job_id)
        except MarketError as error:
            log.warning("job %s is to be stopped, but %s", job.job_id, error.detail)
        after = (store.find(job_id) or job).status
    return {"status": after, "job_id": job_id}


@database.again
def extend(member: Member, job_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Let an open job cost more or run longer, at its locked rate; return it as JobSchema shows it.

    Both figures are absolute. Raises BadInputError, ConflictError, NotEnoughCreditError, NotFoundError.
    """
    asked = loaded(ExtensionSchema(), dict(body))
    _of_owner(member, job_id)
    with database.transaction() as cursor:
        cursor.execute("SELECT status, spec FROM job WHERE job_id = %s FOR UPDATE", [job_id])
        row = cursor.fetchone()
        if row.status in (*ENDED, CANCELLING):
            raise ConflictError("The job has ended, or is being stopped: it cannot be extended any more.")
        before = JobSpec.from_json(row.spec)
        spec = _extended(before, asked)
        hold = ledger.hold_of(cursor, job_id)
        assert hold is not None
        may_cost = hold.amount_ucr - hold.refunded_ucr
        if "max_credits" in asked and parse_credits(asked["max_credits"]) < may_cost:
            held = format_credits(may_cost)
            raise BadInputError({"max_credits": [f"may not be less than the {held} that are held already"]})
        most = None if spec.max_credits is None else parse_credits(spec.max_credits)
        quoted = tariff.quote_at(hold.factors, spec.at_once, spec.whole_duration, most)
        amount_ucr = max(quoted.hold_ucr + hold.refunded_ucr, hold.amount_ucr)
        ledger.extend_hold(cursor, job_id, amount_ucr, f"extend:{job_id}:{amount_ucr}:{spec.max_duration}")
        cursor.execute(
            "UPDATE job SET spec = %s, warned_ms = NULL WHERE job_id = %s",
            [json.dumps(spec.to_json()), job_id],
        )
        said = (
            f"extended by {member.username}: {spec.max_duration} s, {spec.max_credits or 'by size'} credits"
        )
        status.record(cursor, job_id, row.status, said)
    return store.to_wire(store.owned_job(member, job_id))


def hide(member: Member, job_id: str) -> None:
    """Take an ended job off its owner's list. Raises ConflictError while it is open, NotFoundError."""
    job = _of_owner(member, job_id)
    if not job.ended:
        raise ConflictError("The job has not ended. Cancel it first.")
    with database.transaction() as cursor:
        cursor.execute("UPDATE job SET hidden = true WHERE job_id = %s", [job_id])


def _of_owner(member: Member, job_id: str) -> store.Job:
    """Return a job that is the member's own: administrators may look at others', not spend for them."""
    job = store.owned_job(member, job_id)
    if job.user_id != member.user_id:
        raise NotFoundError("There is no such job.")
    return job


def _extended(before: JobSpec, asked: Mapping[str, Any]) -> JobSpec:
    stored = before.to_json()
    errors = {}
    if asked.get("max_duration", before.max_duration) < before.max_duration:
        errors["max_duration"] = [f"may not be less than the {before.max_duration} s that it has"]
    if "max_credits" in asked and parse_credits(asked["max_credits"]) < parse_credits(
        before.max_credits or "0"
    ):
        errors["max_credits"] = [f"may not be less than the {before.max_credits} that it has"]
    if errors:
        raise BadInputError(errors)
    return JobSpec.from_json({**stored, **asked})


def _check_program(spec: JobSpec) -> None:
    if spec.main_class and not spec.is_jar:
        raise BadInputError({"main_class": ["is only for a .jar; a Python program starts at its top"]})
    extends, most = (parse_credits(text or "0") for text in (spec.auto_extend_to, spec.max_credits))
    if spec.auto_extend_to and extends < most:
        raise BadInputError({"auto_extend_to": ["may not be less than max_credits"]})


def _check_limits(cursor: Cursor, user_id: str, spec: JobSpec) -> None:
    limits = settings.load().jobs
    cursor.execute(
        "SELECT count(*) AS jobs,"
        " coalesce(sum(core_num * coalesce((spec->>'max_parallel')::integer, 1)), 0) AS cores FROM job"
        " WHERE user_id = %s AND ended_ms IS NULL",
        [user_id],
    )
    row = cursor.fetchone()
    if row.jobs >= limits.open_jobs_per_user:
        raise OverLimitError(
            f"You have {row.jobs} open jobs and may have {limits.open_jobs_per_user}. "
            "Wait until one has ended, or cancel one.",
            retry_after_s=30,
        )
    asked = spec.core_num * spec.max_parallel
    if asked > limits.open_cores_per_user:
        raise OverLimitError(  # to wait would not help
            f"This asks for {asked} cores at once and you may have {limits.open_cores_per_user}. "
            f"Lower {'max_parallel or ' if spec.grid else ''}core_num."
        )
    if row.cores + asked > limits.open_cores_per_user:
        raise OverLimitError(
            f"Your open jobs ask for {row.cores} cores and may ask for {limits.open_cores_per_user} in all. "
            "Ask for fewer, wait until a job has ended, or cancel one.",
            retry_after_s=30,
        )


def _quote(cursor: Cursor, spec: JobSpec) -> tariff.Quote:
    return tariff.quote(
        spec.machine_type,
        spec.at_once,
        spec.whole_duration,
        None if spec.max_credits is None else parse_credits(spec.max_credits),
        price.current_rate_micro(cursor),
    )


def _store(
    cursor: Cursor, member: Member, job_id: str, name: str, spec: JobSpec, quote: tariff.Quote
) -> None:
    at_ms = now_ms()
    cursor.execute(
        "INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro, weight_micro,"
        " gib_weight_micro, status, added_ms) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'submitted', %s)",
        [
            *(job_id, member.user_id, name, json.dumps(spec.to_json()), spec.machine_type, spec.core_num),
            *(quote.rate_micro, quote.weight_micro, quote.gib_weight_micro, at_ms),
        ],
    )
    status.record(cursor, job_id, "submitted", at_ms=at_ms)
    runs.add(cursor, job_id, spec, at_ms)
    longest_s = spec.max_wait + math.ceil(spec.whole_duration) * (1 + spec.point_retries)
    expires_ms = at_ms + longest_s * 1000 + _SLACK_MS
    ledger.take_hold(cursor, job_id, member.user_id, quote.hold_ucr, quote.rate_micro, expires_ms, at_ms)
    notify.notify(cursor, notify.NEW_JOB)


def _stem(entry: str) -> str:
    return paths.base(entry).rsplit(".", 1)[0][:100]
