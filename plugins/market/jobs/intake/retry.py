"""Submitting an ended job once more, as a new job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from market.jobs import points, store
from market.jobs.intake import packages, program, request
from market.jobs.intake.schemas import RetrySchema
from market.jobs.intake.submit import submit_spec
from market.jobs.spec import JobSpec
from market.jobs.store import Job
from market.kit.database import Answering
from market.kit.errors import BadInputError, ConflictError
from market.kit.money import parse_credits
from market.kit.wire import loaded
from market.people.member import Member


def retry(
    member: Member, job_id: str, body: Mapping[str, Any], answering: Answering | None = None
) -> dict[str, Any]:
    """Submit an ended job once more, of a sweep the points that did not succeed, or those that are named.

    It is a new job, at the rate of now; a point keeps its number. Returns and raises as `submit`, and
    ConflictError while the job is open or where nothing of it is left to run, NotFoundError.
    """
    asked = loaded(RetrySchema(), dict(body))
    job = store.own_job(member, job_id)
    if not job.ended:
        raise ConflictError("The job has not ended. A failed point can be run again when it has.")
    spec = replace(job.spec, only=_points_to_retry(job, asked.get("points")))
    spec = replace(spec, max_parallel=min(spec.max_parallel, len(spec.points)))
    if not _may_grow(spec):
        spec = replace(spec, auto_extend_to=None)
    program.entry_file(member.username, spec.to_json())
    request.check_surroundings(member, spec)
    spec = packages.looked_up(spec)
    return submit_spec(member, spec, job.job_name, answering)


def _may_grow(spec: JobSpec) -> bool:
    """Tell whether the hold can grow by itself: only if the job's own limit keeps it below its whole cost.

    An extension may have raised that limit since, and the rate of now may be another one.
    """
    if spec.auto_extend_to is None or spec.max_credits is None:
        return False
    return parse_credits(spec.auto_extend_to) >= parse_credits(spec.max_credits)


def _points_to_retry(job: Job, named: list[int] | None) -> tuple[int, ...] | None:
    """Return the numbers of the points that run again; None for a job that is no sweep."""
    if job.spec.grid is None:
        if named is not None:
            raise BadInputError({"points": ["This job is no sweep: it has no points."]})
        return None
    statuses = {point.point: point.status for point in points.of_sweep(job.job_id)}
    if named is None:
        chosen = {number for number, status in statuses.items() if status != "succeeded"}
    else:
        chosen = set(named)
    if unknown := sorted(chosen - set(statuses)):
        raise BadInputError({"points": [f"There is no point {unknown[0]}."]})
    if not chosen:
        raise ConflictError("All points of this sweep have succeeded. Name those that are to run again.")
    return tuple(sorted(chosen))
