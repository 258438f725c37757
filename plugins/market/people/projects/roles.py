"""What a member is in a project.

A viewer looks; a member spends and pays in; a manager has a say in members, caps and sub-projects; the owner,
in all. Who manages a project manages those below it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from market.credits import projects as ledger
from market.kit.database import Cursor
from market.kit.errors import NotFoundError, RoleMissingError
from market.kit.vocabulary import PROJECT_ROLES
from market.people.member import Member


@dataclass(frozen=True)
class Standing:
    """A member in a project; `role` is None for an administrator who has none there: he may only look."""

    project_id: str
    name: str
    role: str | None

    def require(self, role: str) -> None:
        """Raise RoleMissingError unless this role or a stronger one is there."""
        if not self.is_at_least(role):
            raise RoleMissingError(f"This needs the role {role} in the project {self.name}.")

    def is_at_least(self, role: str) -> bool:
        """Tell whether this role or a stronger one is there."""
        return self.role is not None and PROJECT_ROLES.index(self.role) <= PROJECT_ROLES.index(role)


def seen(cursor: Cursor, member: Member, project_id: str) -> Standing:
    """Return what a member is in a project. Raises NotFoundError to outsiders, if there is one or not."""
    _check_id(project_id)
    cursor.execute(
        "SELECT name, project_role(project_id, %s) AS role FROM project WHERE project_id = %s",
        [member.user_id, project_id],
    )
    row = cursor.fetchone()
    if row is None or (row.role is None and not member.is_admin):
        raise NotFoundError("There is no such project.")
    return Standing(project_id, row.name, row.role)


def needed(cursor: Cursor, member: Member, project_id: str, role: str) -> Standing:
    """Return what a member is in a project, which nobody changes until the end of the transaction.

    Raises NotFoundError for outsiders, RoleMissingError where this role or a stronger one is missing.
    """
    _check_id(project_id)
    ledger.lock(cursor, project_id)
    standing = seen(cursor, member, project_id)
    standing.require(role)
    return standing


def above(cursor: Cursor, member: Member, standing: Standing, parent_id: str) -> Standing:
    """Return what a member is in the parent of a project that he sees; of that he may see nothing."""
    cursor.execute("SELECT project_role(%s, %s) AS role", [parent_id, member.user_id])
    return Standing(parent_id, f"above {standing.name}", cursor.fetchone().role)


def _check_id(project_id: str) -> None:
    """Pages hand on what stands in their address: of what is no id, there is no project."""
    if not re.fullmatch(r"[0-9a-f]{32}", project_id):
        raise NotFoundError("There is no such project.")
