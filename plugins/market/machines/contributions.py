"""What a machine did and earned, by settled interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from market.kit import database, table
from market.kit.money import format_credits, parse_credits
from market.machines.registry import visible
from market.people.member import Member

_SECONDS = ("online_s", "vcore_seconds", "memory_mib_seconds")
_CREDITS = ("jobs_earned", "stipend", "earned")


def of_machine(member: Member, machine_id: str) -> list[dict[str, Any]]:
    """Return a line for each settled interval, oldest first. Raises NotFoundError."""
    with database.transaction() as cursor:
        visible(cursor, member, machine_id)
        return _lines(cursor, machine_id)


def totals(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what lines add up to: seconds and credits."""
    seconds: dict[str, Any] = {name: sum(line[name] for line in lines) for name in _SECONDS}
    return seconds | {
        name: format_credits(sum(parse_credits(line[name]) for line in lines)) for name in _CREDITS
    }


def as_csv(lines: Sequence[dict[str, Any]]) -> str:
    """Return lines as comma-separated values, with a head line; times are epoch ms."""
    names = ("since", "until", *_SECONDS, *_CREDITS)
    return table.as_csv(names, [[line[name] for name in names] for line in lines])


def _lines(cursor: database.Cursor, machine_id: str) -> list[dict[str, Any]]:
    """Return what a machine did and earned in each settled interval, oldest first.

    What its owner gave back, because it lost an attempt, is off what it earned from jobs in that interval.

    Usage lines hold a container's use from its start on, so an interval's part is the difference to the
    container's line before.
    """
    cursor.execute(
        """
        WITH used AS (
            SELECT interval_id,
                   (held_ms - lag(held_ms, 1, 0::bigint) OVER w) AS ms, vcores, memory_mib
            FROM usage_line WHERE machine_id = %(machine)s
            WINDOW w AS (PARTITION BY container_id ORDER BY interval_id)
        ), work AS (
            SELECT interval_id, sum(ms * vcores) AS vcore_ms, sum(ms * memory_mib) AS mib_ms
            FROM used GROUP BY interval_id
        )
        SELECT s.from_ms, s.until_ms, coalesce(u.online_ms, 0) AS online_ms,
               coalesce(w.vcore_ms, 0) AS vcore_ms, coalesce(w.mib_ms, 0) AS mib_ms,
               (coalesce(p.captured_ucr - p.fee_ucr, 0) - coalesce(g.ucr, 0))::bigint AS jobs_ucr,
               coalesce(p.stipend_ucr, 0) AS stipend_ucr
        FROM settlement s
        LEFT JOIN uptime_line u ON u.interval_id = s.interval_id AND u.machine_id = %(machine)s
        LEFT JOIN work w ON w.interval_id = s.interval_id
        LEFT JOIN payout p ON p.interval_id = s.interval_id AND p.machine = %(machine)s
        LEFT JOIN (SELECT b.interval_id, sum(b.amount_ucr) AS ucr
                   FROM repayment b JOIN refund r USING (job_id, attempt)
                   WHERE r.machine_id = %(machine)s AND r.return_ucr > 0
                   GROUP BY b.interval_id) g ON g.interval_id = s.interval_id
        WHERE u.machine_id IS NOT NULL OR w.interval_id IS NOT NULL OR p.machine IS NOT NULL OR g.ucr > 0
        ORDER BY s.from_ms
        """,
        {"machine": machine_id},
    )
    return [
        {
            "since": row.from_ms,
            "until": row.until_ms,
            "online_s": int(row.online_ms) // 1000,
            "vcore_seconds": int(row.vcore_ms) // 1000,
            "memory_mib_seconds": int(row.mib_ms) // 1000,
            "jobs_earned": format_credits(row.jobs_ucr),
            "stipend": format_credits(row.stipend_ucr),
            "earned": format_credits(row.jobs_ucr + row.stipend_ucr),
        }
        for row in cursor.fetchall()
    ]
