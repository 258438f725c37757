"""Extending an open job: more credits or more time, at its locked rate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from market.credits import ledger, tariff
from market.jobs import store
from market.jobs.intake.schemas import ExtensionSchema
from market.jobs.life import status
from market.jobs.spec import JobSpec
from market.kit import database
from market.kit.errors import BadInputError, ConflictError
from market.kit.money import format_credits, parse_credits
from market.kit.vocabulary import CANCELLING, ENDED
from market.kit.wire import loaded
from market.people.member import Member


@database.again
def extend(member: Member, job_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Let an open job cost more or run longer, at its locked rate; return it as JobSchema shows it.

    Both figures are absolute. Where a project pays, who extends must still be its member, and it must
    go on. Raises BadInputError, ConflictError, NotEnoughCreditError, NotFoundError.
    """
    request = loaded(ExtensionSchema(), dict(body))
    store.own_job(member, job_id)
    with database.transaction() as cursor:
        cursor.execute("SELECT status, spec FROM job WHERE job_id = %s FOR UPDATE", [job_id])
        job = cursor.fetchone()
        if job.status in (*ENDED, CANCELLING):
            raise ConflictError("The job has ended, or is being stopped: it cannot be extended any more.")
        spec = _extended(JobSpec.from_json(job.spec), request)
        hold = ledger.hold_of(cursor, job_id)
        assert hold is not None
        may_cost_ucr = hold.amount_ucr - hold.refunded_ucr
        if "max_credits" in request and parse_credits(request["max_credits"]) < may_cost_ucr:
            held = format_credits(may_cost_ucr)
            raise BadInputError({"max_credits": [f"may not be less than the {held} that are held already"]})
        most = None if spec.max_credits is None else parse_credits(spec.max_credits)
        quote = tariff.quote_at(hold.factors, spec.at_once, spec.whole_duration, most)
        amount_ucr = max(quote.hold_ucr + hold.refunded_ucr, hold.amount_ucr)
        ledger.extend_hold(cursor, job_id, amount_ucr, f"extend:{job_id}:{amount_ucr}:{spec.max_duration}")
        cursor.execute(
            "UPDATE job SET spec = %s, warned_ms = NULL WHERE job_id = %s",
            [json.dumps(spec.to_json()), job_id],
        )
        reason = (
            f"extended by {member.username}: {spec.max_duration} s, {spec.max_credits or 'by size'} credits"
        )
        status.record(cursor, job_id, job.status, reason)
    return store.to_wire(store.visible_job(member, job_id))


def _extended(spec: JobSpec, request: Mapping[str, Any]) -> JobSpec:
    """Return the specification with the new figures. Raises BadInputError if one is less than before."""
    errors = {}
    if request.get("max_duration", spec.max_duration) < spec.max_duration:
        errors["max_duration"] = [f"may not be less than the {spec.max_duration} s that it has"]
    if "max_credits" in request and parse_credits(request["max_credits"]) < parse_credits(
        spec.max_credits or "0"
    ):
        errors["max_credits"] = [f"may not be less than the {spec.max_credits} that it has"]
    if errors:
        raise BadInputError(errors)
    return JobSpec.from_json({**spec.to_json(), **request})
