"""Who pays for a job: its owner, or a project that he may spend from."""

from __future__ import annotations

from market.kit.database import Cursor
from market.kit.errors import BadInputError
from market.kit.vocabulary import VIEWER
from market.people.member import Member


def project(cursor: Cursor, member: Member, name: str | None, at_ms: int) -> str | None:
    """Return the id of the project that pays for what a member submits now; None: he pays himself.

    Raises BadInputError where he may not spend from it, or it does not go on at that time. What is left of
    budgets and caps is asked when the hold is taken.
    """
    if name is None:
        return None
    cursor.execute(
        "SELECT p.project_id, project_role(p.project_id, %s) AS role, EXISTS ("
        " SELECT FROM project_chain(p.project_id) JOIN project c USING (project_id)"
        " WHERE %s < c.start_ms) AS early, EXISTS ("
        " SELECT FROM project_chain(p.project_id) JOIN project c USING (project_id)"
        " WHERE %s >= c.end_ms) AS late FROM project p WHERE p.name = %s",
        [member.user_id, at_ms, at_ms, name],
    )
    row = cursor.fetchone()
    if row is None or row.role is None:
        problem = "is none of your projects"
    elif row.role == VIEWER:
        problem = "is a project in which you are a viewer: it pays nothing for you"
    elif row.early or row.late:
        problem = "has ended: it pays for nothing new" if row.late else "has not begun yet"
    else:
        return str(row.project_id)
    raise BadInputError({"project": [problem]})
