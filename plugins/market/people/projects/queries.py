"""Projects as their members see them: with their budgets, accounts and members, and what a month came to."""

from __future__ import annotations

from typing import Any

from market.kit import database
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.money import format_credits
from market.kit.paging import Listing, Page
from market.people.member import Member
from market.people.projects import roles

_ORDERS = {"name": "p.name", "created_time": "p.created_ms", "end": "p.end_ms", "budget": "p.budget_ucr"}
ORDER_BY = tuple(_ORDERS)
_MEMBER_ORDERS = {"username": "m.username", "since": "p.since_ms", "role": "p.role"}
MEMBER_ORDER_BY = tuple(_MEMBER_ORDERS)

_SELECT = """
    SELECT p.project_id, p.name, p.title, p.parent_id, p.budget_ucr, p.committed_ucr, p.start_ms,
           p.end_ms, p.created_ms, project_role(p.project_id, %(user)s) AS role, a.held_ucr, a.used_ucr,
           a.granted_ucr + a.shared_ucr + a.transferred_ucr - a.used_ucr AS balance_ucr
    FROM project p JOIN account a USING (project_id)
"""
_MINE = """
    WITH RECURSIVE mine AS (
        SELECT project_id, role IN ('owner', 'manager') AS manages FROM project_member
        WHERE user_id = %(user)s
        UNION
        SELECT p.project_id, true FROM mine JOIN project p ON p.parent_id = mine.project_id
        WHERE mine.manages)
"""
_MEMBERS = """
    SELECT m.user_id, m.username, p.role, p.month_cap_ucr, p.since_ms,
           month_committed(p.project_id, p.user_id, month_of(now_ms())) AS committed_ucr
    FROM project_member p JOIN member m USING (user_id)
    WHERE p.project_id = %s
"""


def list_projects(member: Member, page: Page) -> Listing[dict[str, Any]]:
    """Return a page of the projects in which somebody has a role, newest first by default."""
    order = f"{_ORDERS[page.order_by or 'created_time']} {'DESC' if page.descending else 'ASC'}, p.project_id"
    values = {"user": member.user_id, "limit": page.limit, "offset": page.offset}
    chosen = "WHERE p.project_id IN (SELECT project_id FROM mine)"
    with database.transaction() as cursor:
        cursor.execute(f"{_MINE} SELECT count(*) AS total FROM project p {chosen}", values)  # noqa: S608
        total = cursor.fetchone().total
        cursor.execute(
            f"{_MINE} {_SELECT} {chosen} ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s", values
        )
        return Listing([_to_wire(row) for row in cursor.fetchall()], total)


def find(member: Member, project_id: str) -> dict[str, Any]:
    """Return a project to those who have a role in it, and to administrators. Raises NotFoundError."""
    with database.transaction() as cursor:
        return of(cursor, member, project_id)


def of(cursor: Cursor, member: Member, project_id: str) -> dict[str, Any]:
    """Return a project as `find` does, in the caller's transaction. Raises NotFoundError."""
    roles.seen(cursor, member, project_id)
    cursor.execute(
        f"{_SELECT} WHERE p.project_id = %(project)s", {"user": member.user_id, "project": project_id}
    )
    return _to_wire(cursor.fetchone())


def account(member: Member, project_id: str) -> str:
    """Return the account of a project to whoever may see it. Raises NotFoundError."""
    with database.transaction() as cursor:
        return roles.seen(cursor, member, project_id).project_id


def members(member: Member, project_id: str, page: Page) -> Listing[dict[str, Any]]:
    """Return a page of a project's members, the longest there first. Raises NotFoundError."""
    column = _MEMBER_ORDERS[page.order_by or "since"]
    order = f"{column} {'DESC' if page.descending and page.order_by else 'ASC'}, m.user_id"
    with database.transaction() as cursor:
        roles.seen(cursor, member, project_id)
        cursor.execute("SELECT count(*) AS total FROM project_member WHERE project_id = %s", [project_id])
        total = cursor.fetchone().total
        cursor.execute(
            f"{_MEMBERS} ORDER BY {order} LIMIT %s OFFSET %s", [project_id, page.limit, page.offset]
        )
        return Listing([_member_to_wire(row) for row in cursor.fetchall()], total)


def member(cursor: Cursor, project_id: str, user_id: str) -> dict[str, Any]:
    """Return one member of a project, who is there."""
    cursor.execute(f"{_MEMBERS} AND p.user_id = %s", [project_id, user_id])
    return _member_to_wire(cursor.fetchone())


def _to_wire(row: Any) -> dict[str, Any]:
    return {
        "project_id": row.project_id,
        "name": row.name,
        "title": row.title,
        "parent_id": row.parent_id,
        "role": row.role,
        "budget": format_credits(row.budget_ucr),
        "committed": format_credits(row.committed_ucr),
        "left": format_credits(row.budget_ucr - row.committed_ucr),
        "start": row.start_ms,
        "end": row.end_ms,
        "is_open": row.start_ms <= now_ms() < row.end_ms,
        "created_time": row.created_ms,
        "used": format_credits(row.used_ucr),
        "balance": format_credits(row.balance_ucr),
        "held": format_credits(row.held_ucr),
        "available": format_credits(row.balance_ucr - row.held_ucr),
    }


def _member_to_wire(row: Any) -> dict[str, Any]:
    return {
        "user_id": row.user_id,
        "username": row.username,
        "role": row.role,
        "month_cap": None if row.month_cap_ucr is None else format_credits(row.month_cap_ucr),
        "month_committed": format_credits(row.committed_ucr),
        "since": row.since_ms,
    }
