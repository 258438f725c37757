"""The people of the market, as administrators see them: balances, what is open, when they were here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from market.kit import database
from market.kit.errors import NotFoundError
from market.kit.money import format_credits
from market.kit.vocabulary import MACHINE_LIVE
from market.people.member import Member

ALL, ACTIVE, SUSPENDED = STATES = ("all", "active", "suspended")
MOST_ID = 2**31 - 1  # of a login

_CHOSEN = {ALL: "true", ACTIVE: "suspended_ms IS NULL", SUSPENDED: "suspended_ms IS NOT NULL"}
# Machines by this list, then what chooses the people.
_SELECT = """
    SELECT m.user_id, m.fab_user_id, m.username, m.email, m.created_ms, m.last_login_ms, m.suspended_ms,
           m.suspended_by, m.suspended_because, a.held_ucr, a.granted_ucr, a.shared_ucr, a.used_ucr,
           a.granted_ucr + a.shared_ucr + a.transferred_ucr - a.used_ucr AS balance_ucr,
           (SELECT count(*) FROM job j WHERE j.user_id = m.user_id AND j.ended_ms IS NULL) AS open_jobs,
           (SELECT count(*) FROM machine c WHERE c.user_id = m.user_id AND c.state = ANY (%s)) AS machines
    FROM member m JOIN account a ON a.user_id = m.user_id
"""


@dataclass(frozen=True)
class Users:
    """Some people, those who came last first; `cursor` leads to the next ones, None after the last."""

    users: list[dict[str, Any]]
    cursor: int | None


def list_users(admin: Member, limit: int = 50, after: int = 0, search: str = "", state: str = ALL) -> Users:
    """Return people behind a cursor (0: from the newest on), by how a name or an address begins and by state.

    Raises RoleMissingError to all but administrators.
    """
    admin.require_admin()
    begin = search.strip().lower()
    where = f"{_CHOSEN[state]} AND m.fab_user_id < %s"
    values: list[Any] = [list(MACHINE_LIVE), after or MOST_ID + 1]
    if begin:
        where += " AND (m.username ^@ %s OR lower(m.email) ^@ %s)"
        values += [begin, begin]
    with database.transaction() as cursor:
        cursor.execute(
            f"{_SELECT} WHERE {where} ORDER BY m.fab_user_id DESC LIMIT %s",
            [*values, limit + 1],
        )
        rows = cursor.fetchall()
    more = len(rows) > limit
    return Users([_user(row) for row in rows[:limit]], rows[limit - 1].fab_user_id if more else None)


def find(admin: Member, user_id: str) -> dict[str, Any]:
    """Return a person. Raises NotFoundError, RoleMissingError to all but administrators."""
    admin.require_admin()
    with database.transaction() as cursor:
        cursor.execute(f"{_SELECT} WHERE m.user_id = %s", [list(MACHINE_LIVE), user_id])
        row = cursor.fetchone()
    if row is None:
        raise NotFoundError("There is no such user.")
    return _user(row)


def _user(row: Any) -> dict[str, Any]:
    return {
        "user_id": row.user_id,
        "username": row.username,
        "email": row.email,
        "state": SUSPENDED if row.suspended_ms else ACTIVE,
        "suspended_time": row.suspended_ms,
        "suspended_by": row.suspended_by,
        "suspended_because": row.suspended_because,
        "created_time": row.created_ms,
        "last_login_time": row.last_login_ms,
        "balance": format_credits(row.balance_ucr),
        "held": format_credits(row.held_ucr),
        "available": format_credits(row.balance_ucr - row.held_ucr),
        "granted": format_credits(row.granted_ucr),
        "sharing_credit": format_credits(row.shared_ucr),
        "using_credit": format_credits(row.used_ucr),
        "open_jobs": row.open_jobs,
        "live_machines": row.machines,
    }
