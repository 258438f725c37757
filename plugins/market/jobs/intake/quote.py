"""What a job would cost: the same figures for a dry run and for a submission."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market.credits import price, tariff
from market.jobs.intake import quota, request
from market.jobs.spec import JobSpec
from market.kit import database
from market.kit.database import Cursor
from market.kit.money import parse_credits
from market.people.member import Member


def quote(member: Member, body: Mapping[str, Any]) -> dict[str, Any]:
    """Check a job as `submit` does, except the balance, and write nothing; return `{quote}`.

    Raises BadInputError, OverLimitError.
    """
    spec, _ = request.read(member, body)
    with database.transaction() as cursor:
        quota.check(cursor, member.user_id, spec)
        return {"quote": dict(at_current_rate(cursor, spec).to_wire())}


def at_current_rate(cursor: Cursor, spec: JobSpec) -> tariff.Quote:
    """Return the quote for a job at the rate of now."""
    return tariff.quote(
        spec.machine_type,
        spec.at_once,
        spec.whole_duration,
        None if spec.max_credits is None else parse_credits(spec.max_credits),
        price.current_rate_micro(cursor),
    )
