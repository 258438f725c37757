"""What the treasury gave and got back, by day, and who gave it why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from market.kit import database
from market.kit.clock import now_ms
from market.kit.money import format_credits
from market.people.member import Member

MOST_DAYS = 92
_DAY_MS = 86_400_000
# In the order in which they are shown: what it gave, then what it got.
_GIVEN = ("signup", "grants", "refunds", "stipends", "lost_attempts")
_GOT = ("own_machines",)
_SUMS = (*_GIVEN, *_GOT)


@dataclass(frozen=True)
class Day:
    """A day (UTC) from `at_ms` on: micro-credits by what they were for."""

    at_ms: int
    sums_ucr: dict[str, int]

    @property
    def issued_ucr(self) -> int:
        """What it gave, less what it got."""
        return sum(self.sums_ucr[name] for name in _GIVEN) - sum(self.sums_ucr[name] for name in _GOT)

    def to_wire(self) -> dict[str, Any]:
        """Return it as it is shown: TreasuryDaySchema."""
        sums = {name: format_credits(ucr) for name, ucr in self.sums_ucr.items()}
        return {"at": self.at_ms, **sums, "issued": format_credits(self.issued_ucr)}


def by_day(admin: Member, days: int) -> list[Day]:
    """Return the last `days` days up to today, oldest first.

    Raises RoleMissingError to all but administrators.
    """
    admin.require_admin()
    first = (now_ms() // _DAY_MS - days + 1) * _DAY_MS
    sums = {first + n * _DAY_MS: dict.fromkeys(_SUMS, 0) for n in range(days)}
    with database.transaction() as cursor:
        cursor.execute("SELECT * FROM treasury_days(%s)", [first])
        for row in cursor.fetchall():
            if row.day_ms in sums:  # not what a clock that ran ahead has dated
                sums[row.day_ms][row.what] += row.ucr
    return [Day(at_ms, found) for at_ms, found in sums.items()]


def balance(admin: Member) -> str:
    """Return the treasury's balance in credits: what it issued and did not get back, below zero."""
    admin.require_admin()
    with database.transaction() as cursor:
        cursor.execute("SELECT balance_ucr FROM system_account WHERE account = 'treasury'")
        return format_credits(int(cursor.fetchone().balance_ucr))


def gifts(admin: Member, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """Return grants and refunds that people made, those made last first.

    `to` and `by` are names; `by` is None for what the market gives by itself. Raises RoleMissingError to all
    but administrators.
    """
    admin.require_admin()
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT j.at_ms, j.kind, j.note, j.job_id, t.amount_ucr, t.payee, m.user_id,"
            " coalesce(m.username, p.name) AS name, g.username AS giver"
            " FROM journal j JOIN transfer t USING (journal_id) LEFT JOIN member m ON m.user_id = t.payee"
            " LEFT JOIN project p ON p.project_id = t.payee"
            " LEFT JOIN member g ON NOT starts_with(j.key, 'signup:')"
            " AND g.user_id = split_part(j.key, ':', 2)"
            " WHERE j.interval_id IS NULL AND j.kind IN ('grant', 'refund')"
            " ORDER BY j.at_ms DESC, j.journal_id DESC LIMIT %s OFFSET %s",
            [limit, offset],
        )
        return [
            {
                "at": row.at_ms,
                "kind": row.kind,
                "amount": format_credits(row.amount_ucr),
                "user_id": row.user_id,
                "to": row.name,
                "job_id": row.job_id,
                "by": row.giver,
                "reason": row.note,
            }
            for row in cursor.fetchall()
        ]
