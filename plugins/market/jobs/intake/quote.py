"""What a job would cost: the same figures for a dry run and for a submission."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market.credits import price, tariff
from market.jobs.intake import quota, request
from market.jobs.spec import JobSpec
from market.kit import database
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.errors import BadInputError
from market.kit.money import format_credits, parse_credits
from market.people import paying
from market.people.member import Member


def quote(member: Member, body: Mapping[str, Any]) -> dict[str, Any]:
    """Check a job as `submit` does, except the balance, and write nothing; return `{quote}`.

    Raises BadInputError, OverLimitError.
    """
    spec, _ = request.read(member, body)
    with database.transaction() as cursor:
        quota.check(cursor, member.user_id, spec)
        paying.project(cursor, member, spec.project, now_ms())
        return {"quote": dict(at_current_rate(cursor, spec).to_wire())}


def at_current_rate(cursor: Cursor, spec: JobSpec) -> tariff.Quote:
    """Return the quote for a job at the rate of now.

    Raises BadInputError if the hold is to grow up to less than it is from the beginning.
    """
    quote = tariff.quote(
        spec.machine_type,
        spec.at_once,
        spec.whole_duration,
        None if spec.max_credits is None else parse_credits(spec.max_credits),
        price.current_rate_micro(cursor),
    )
    if spec.auto_extend_to is not None and parse_credits(spec.auto_extend_to) < quote.hold_ucr:
        held = format_credits(quote.hold_ucr)
        raise BadInputError(
            {"auto_extend_to": [f"may not be less than the {held} that are held from the beginning"]}
        )
    return quote
