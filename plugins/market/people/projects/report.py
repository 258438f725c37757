"""What a project's month came to, by project of its tree and by member.

A job belongs to the month (UTC) in which it was submitted, as it does for caps.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from market.kit import database, table
from market.kit.clock import now_ms
from market.kit.errors import BadInputError
from market.kit.money import format_credits
from market.people.member import Member
from market.people.projects import roles

_FIELDS = ("month", "project", "username", "jobs", "open_jobs", "spent", "held", "committed", "cap")
_LINES = """
    WITH RECURSIVE below AS (
        SELECT project_id, name FROM project WHERE project_id = %(project)s
        UNION ALL
        SELECT p.project_id, p.name FROM below b JOIN project p ON p.parent_id = b.project_id)
    SELECT b.project_id, b.name, m.user_id, m.username, count(*) AS jobs,
           count(*) FILTER (WHERE h.closed_ms IS NULL) AS open_jobs,
           sum(h.captured_ucr - r.ucr)::bigint AS spent_ucr,
           sum(CASE WHEN h.closed_ms IS NULL THEN h.amount_ucr - h.captured_ucr - h.released_ucr
               ELSE 0 END)::bigint AS held_ucr,
           (SELECT cap_ucr FROM project_month c WHERE c.project_id = b.project_id AND c.user_id = m.user_id
            AND c.month_ms = %(month)s) AS cap_ucr
    FROM below b JOIN job j USING (project_id) JOIN hold h USING (job_id)
    JOIN member m ON m.user_id = j.user_id
    CROSS JOIN LATERAL (SELECT refunded_ucr(j.job_id) AS ucr) r
    WHERE j.added_ms >= %(month)s AND j.added_ms < month_after(%(month)s)
    GROUP BY b.project_id, b.name, m.user_id, m.username
    ORDER BY b.name, m.username
"""


def report(member: Member, project_id: str, month: int | None) -> dict[str, Any]:
    """Return `{month, project_id, project, spent, held, committed, lines}` for a month like 202611.

    None is the month of now. `spent` is less what came back, `held` what open jobs may still take, and
    `committed` both together. Raises BadInputError, NotFoundError.
    """
    now = datetime.fromtimestamp(now_ms() / 1000, UTC)
    year, number = divmod(month or now.year * 100 + now.month, 100)
    if not 1 <= number <= 12:
        raise BadInputError({"month": ["must be a year and a month, like 202611"]})
    first_ms = int(datetime(year, number, 1, tzinfo=UTC).timestamp() * 1000)
    with database.transaction() as cursor:
        standing = roles.seen(cursor, member, project_id)
        cursor.execute(_LINES, {"project": project_id, "month": first_ms})
        rows = cursor.fetchall()
    spent, held = sum(row.spent_ucr for row in rows), sum(row.held_ucr for row in rows)
    return {
        "month": year * 100 + number,
        "project_id": project_id,
        "project": standing.name,
        "spent": format_credits(spent),
        "held": format_credits(held),
        "committed": format_credits(spent + held),
        "lines": [_line(row) for row in rows],
    }


def _line(row: Any) -> dict[str, Any]:
    return {
        "project_id": row.project_id,
        "project": row.name,
        "user_id": row.user_id,
        "username": row.username,
        "jobs": row.jobs,
        "open_jobs": row.open_jobs,
        "spent": format_credits(row.spent_ucr),
        "held": format_credits(row.held_ucr),
        "committed": format_credits(row.spent_ucr + row.held_ucr),
        "cap": None if row.cap_ucr is None else format_credits(row.cap_ucr),
    }


def as_csv(month: int, lines: Sequence[dict[str, Any]]) -> str:
    """Return the lines of a report as CSV with a header."""
    rows = [{**line, "month": month} for line in lines]
    return table.as_csv(_FIELDS, [[row[name] for name in _FIELDS] for row in rows])
