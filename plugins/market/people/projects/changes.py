"""Making projects, their budgets, their members. Each change is a line of the audit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from market.credits import projects as ledger
from market.kit import audit, database
from market.kit.clock import new_id, now_ms
from market.kit.database import Answering, Cursor
from market.kit.errors import BadInputError, ConflictError, NotFoundError, OverLimitError
from market.kit.money import format_credits, parse_credits
from market.kit.vocabulary import MANAGER, OWNER, VIEWER
from market.people.member import Member
from market.people.projects import queries, roles
from market.people.schemas import USERNAME

_MOST_OWNED, _MOST_MEMBERS, _MOST_BELOW, _DEEPEST = 50, 500, 100, 5


@database.again
def create(member: Member, body: Mapping[str, Any], answering: Answering | None = None) -> dict[str, Any]:
    """Make a project that belongs to the member, with an empty account; return it.

    Of a sub-project he must manage the parent. Raises BadInputError, ConflictError (the name is taken),
    NotFoundError, OverLimitError, RoleMissingError.
    """
    project_id, parent_id, start_ms = new_id(), body.get("parent_id"), body.get("start", now_ms())
    _check_time(start_ms, body["end"])
    with database.transaction() as cursor:
        # Of two that come at once the second one counts the first.
        lock = f"projects {member.user_id}"
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [lock])
        if parent_id is not None:
            roles.needed(cursor, member, parent_id, MANAGER)
        _check_number(cursor, member, parent_id)
        title, budget_ucr = body.get("title", body["name"]), parse_credits(body["budget"])
        ledger.create(
            *(cursor, project_id, body["name"], title, parent_id, member.user_id),
            *(budget_ucr, start_ms, body["end"]),
        )
        _note(cursor, member, project_id, f"made with a budget of {body['budget']} credits")
        answer = queries.of(cursor, member, project_id)
        if answering is not None:
            answering(cursor, answer)
    return answer


@database.again
def change(member: Member, project_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Give a project another title, budget or time; return it.

    Of a top project only its owner may, of a sub-project whoever manages the parent: who spends a budget does
    not raise it. Raises BadInputError, NotFoundError, RoleMissingError.
    """
    with database.transaction() as cursor:
        standing = roles.needed(cursor, member, project_id, VIEWER)
        cursor.execute(
            "SELECT title, budget_ucr, start_ms, end_ms, parent_id FROM project WHERE project_id = %s",
            [project_id],
        )
        row = cursor.fetchone()
        above = standing if row.parent_id is None else roles.above(cursor, member, standing, row.parent_id)
        above.require(OWNER if row.parent_id is None else MANAGER)
        budget_ucr = parse_credits(body["budget"]) if "budget" in body else row.budget_ucr
        start_ms, end_ms = body.get("start", row.start_ms), body.get("end", row.end_ms)
        _check_time(start_ms, end_ms)
        ledger.set_budget(cursor, project_id, body.get("title", row.title), budget_ucr, start_ms, end_ms)
        _note(
            *(cursor, member, project_id),
            f"budget {format_credits(row.budget_ucr)} -> {format_credits(budget_ucr)}, time {row.start_ms} to"
            f" {row.end_ms} -> {start_ms} to {end_ms}",
        )
        return queries.of(cursor, member, project_id)


@database.again
def set_member(member: Member, project_id: str, username: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Give somebody a role and a cap in a project, or other ones; return him as `queries.members` does.

    A manager does so with members and viewers, the owner with all; who is made the owner takes his place.
    Raises BadInputError, NotFoundError, OverLimitError, RoleMissingError.
    """
    role, cap = body["role"], body.get("month_cap")
    with database.transaction() as cursor:
        standing = roles.needed(cursor, member, project_id, MANAGER)
        user_id, before = _somebody(cursor, project_id, username)
        _check_stays(cursor, user_id)
        if before in (OWNER, MANAGER) or role in (OWNER, MANAGER):
            standing.require(OWNER)
        cursor.execute("SELECT count(*) AS members FROM project_member WHERE project_id = %s", [project_id])
        if before is None and cursor.fetchone().members >= _MOST_MEMBERS:
            raise OverLimitError(f"A project may have {_MOST_MEMBERS} members. Take somebody out first.")
        ledger.set_member(cursor, project_id, user_id, role, None if cap is None else parse_credits(cap))
        _note(cursor, member, project_id, f"{username}: {before or 'nobody'} -> {role}, cap {cap or 'none'}")
        return queries.member(cursor, project_id, user_id)


@database.again
def remove_member(member: Member, project_id: str, username: str) -> None:
    """Take somebody out of a project, or leave it. What he submitted for it goes on, and the project pays.

    Everybody may leave but the owner. Raises BadInputError, NotFoundError, RoleMissingError.
    """
    with database.transaction() as cursor:
        standing = roles.needed(cursor, member, project_id, VIEWER)
        user_id, before = _somebody(cursor, project_id, username)
        if user_id != member.user_id:
            standing.require(OWNER if before in (OWNER, MANAGER) else MANAGER)
        if before is None:
            raise NotFoundError("There is no such member in this project.")
        ledger.remove_member(cursor, project_id, user_id)
        _note(cursor, member, project_id, f"{username}: {before} -> nobody")


def refuse_owner(cursor: Cursor, member: Member) -> None:
    """Refuse the deletion of an account that owns an open project which others are in, or are below.

    Raises ConflictError.
    """
    cursor.execute(
        "WITH RECURSIVE owned AS ("
        " SELECT p.project_id, p.name FROM project p JOIN project_member o USING (project_id)"
        " WHERE o.user_id = %(user)s AND o.role = 'owner' AND p.end_ms > %(now)s),"
        " below AS ("
        " SELECT project_id, project_id AS top FROM owned"
        " UNION SELECT p.project_id, below.top FROM below JOIN project p ON p.parent_id = below.project_id)"
        " SELECT name FROM owned WHERE EXISTS (SELECT FROM below JOIN project_member m USING (project_id)"
        " WHERE below.top = owned.project_id AND m.user_id <> %(user)s) ORDER BY name LIMIT 1",
        {"user": member.user_id, "now": now_ms()},
    )
    row = cursor.fetchone()
    if row is not None:
        raise ConflictError(
            f"You own the project {row.name}, and others are in it. Hand it over (give one of them the role"
            " owner), or close it: let it end, or take them out."
        )


def leave_all(cursor: Cursor, member: Member) -> None:
    """Take a member whose account is deleted out of all projects, in the caller's transaction.

    Those that he owns keep him: a project has one owner, and its account would be nobody's.
    """
    cursor.execute(
        "SELECT project_id, role FROM project_member WHERE user_id = %s AND role <> 'owner'"
        " ORDER BY project_id",
        [member.user_id],
    )
    for row in cursor.fetchall():
        ledger.remove_member(cursor, row.project_id, member.user_id)
        _note(
            cursor, member, row.project_id, f"{member.username}: {row.role} -> nobody, his account is deleted"
        )


def _check_time(start_ms: int, end_ms: int) -> None:
    if end_ms <= start_ms:
        raise BadInputError({"end": ["must be after the start"]})


def _check_number(cursor: Cursor, member: Member, parent_id: str | None) -> None:
    cursor.execute(
        "SELECT count(*) AS owned FROM project_member WHERE user_id = %s AND role = 'owner'", [member.user_id]
    )
    if cursor.fetchone().owned >= _MOST_OWNED:
        raise OverLimitError(f"You own {_MOST_OWNED} projects, the most that there may be.")
    if parent_id is None:
        return
    cursor.execute(
        "SELECT count(*) AS depth, (SELECT count(*) FROM project WHERE parent_id = %s) AS below"
        " FROM project_chain(%s)",
        [parent_id, parent_id],
    )
    row = cursor.fetchone()
    if row.depth >= _DEEPEST or row.below >= _MOST_BELOW:
        raise OverLimitError(
            f"Projects may lie {_DEEPEST} deep, and one may have {_MOST_BELOW} sub-projects of its own."
        )


def _somebody(cursor: Cursor, project_id: str, username: str) -> tuple[str, str | None]:
    """Return a member's id, and the role that he was given in a project. Raises NotFoundError."""
    if not re.fullmatch(USERNAME, username):
        raise NotFoundError("There is no such user.")
    cursor.execute(
        "SELECT m.user_id, p.role FROM member m LEFT JOIN project_member p"
        " ON p.user_id = m.user_id AND p.project_id = %s WHERE m.username = %s",
        [project_id, username],
    )
    row = cursor.fetchone()
    if row is None:
        raise NotFoundError("There is no such user.")
    return row.user_id, row.role


def _check_stays(cursor: Cursor, user_id: str) -> None:
    """Raise NotFoundError for somebody who has his account deleted: nobody could speak for what he owns."""
    cursor.execute("SELECT FROM member WHERE user_id = %s AND deletion_due_ms IS NULL FOR SHARE", [user_id])
    if not cursor.rowcount:
        raise NotFoundError("There is no such user any more: the account is being deleted.")


def _note(cursor: Cursor, member: Member, project_id: str, detail: str) -> None:
    audit.write(cursor, audit.PROJECT, member.user_id, project_id, detail)
