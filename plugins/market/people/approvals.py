"""Accounts that wait for an administrator's word before they get their opening grant and submit jobs."""

from __future__ import annotations

from dataclasses import dataclass

from market.kit import audit, database
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.errors import ConflictError, NotFoundError, RoleMissingError
from market.kit.paging import Listing, Page
from market.kit.vocabulary import APPROVED, AWAITED, REFUSED
from market.people import opening
from market.people.member import Member

ORDERS = ("asked_time",)
_COLUMNS = "user_id, username, email, state, asked_ms, decided_ms, decided_by, reason"


@dataclass(frozen=True)
class Approval:
    """An account, and what was said of it; times in epoch milliseconds."""

    user_id: str
    username: str
    email: str
    state: str
    asked_ms: int
    decided_ms: int | None
    decided_by: str | None
    reason: str


def ask(cursor: Cursor, user_id: str) -> None:
    """Have an account wait for an administrator; in the caller's transaction."""
    cursor.execute(
        "INSERT INTO approval (user_id, state, asked_ms) VALUES (%s, %s, %s)", [user_id, AWAITED, now_ms()]
    )


def of(cursor: Cursor, user_id: str) -> tuple[str, str] | None:
    """Return the state of a member's approval and the reason; None if he needs none."""
    cursor.execute("SELECT state, reason FROM approval WHERE user_id = %s", [user_id])
    row = cursor.fetchone()
    return (row.state, row.reason) if row else None


def check(cursor: Cursor, user_id: str) -> None:
    """Raise RoleMissingError for a member who may not submit jobs yet, or was refused."""
    found = of(cursor, user_id)
    if found is None or found[0] == APPROVED:
        return
    if found[0] == AWAITED:
        raise RoleMissingError("Your account waits for an administrator's approval. Submit when it has that.")
    raise RoleMissingError(f"An administrator has refused your account: {found[1]}")


def list_approvals(page: Page, state: str | None) -> Listing[Approval]:
    """Return a page of the accounts in a state, or of all, the newest first unless it says otherwise."""
    where = "(%(state)s::text IS NULL OR state = %(state)s)"
    direction = "DESC" if page.descending else "ASC"
    values = {"state": state, "limit": page.limit, "offset": page.offset}
    with database.transaction() as cursor:
        cursor.execute(f"SELECT count(*) AS n FROM approval WHERE {where}", values)  # noqa: S608
        total = cursor.fetchone().n
        cursor.execute(
            f"SELECT {_COLUMNS} FROM approval JOIN member USING (user_id) WHERE {where}"  # noqa: S608
            f" ORDER BY asked_ms {direction}, user_id LIMIT %(limit)s OFFSET %(offset)s",
            values,
        )
        return Listing([Approval(*row) for row in cursor.fetchall()], total)


def approve(admin: Member, user_id: str) -> Approval:
    """Let an account submit jobs, and pay its opening grant; also one that was refused before.

    Raises NotFoundError, ConflictError if it is approved already.
    """
    return _decide(admin, user_id, APPROVED, "", (AWAITED, REFUSED))


def refuse(admin: Member, user_id: str, reason: str) -> Approval:
    """Refuse an account that waits; its owner is told the reason. Raises NotFoundError, ConflictError."""
    return _decide(admin, user_id, REFUSED, reason, (AWAITED,))


@database.again
def _decide(admin: Member, user_id: str, state: str, reason: str, before: tuple[str, ...]) -> Approval:
    with database.transaction() as cursor:
        cursor.execute("SELECT state FROM approval WHERE user_id = %s FOR UPDATE", [user_id])
        row = cursor.fetchone()
        if row is None:
            raise NotFoundError("There is no account with this id that waits for approval.")
        if row.state not in before:
            raise ConflictError(f"This account is {row.state} already.")
        cursor.execute(
            "UPDATE approval SET state = %s, decided_ms = %s, decided_by = %s, reason = %s"
            " WHERE user_id = %s",
            [state, now_ms(), admin.username, reason, user_id],
        )
        opening.pay(cursor, user_id)
        cursor.execute(
            f"SELECT {_COLUMNS} FROM approval JOIN member USING (user_id) WHERE user_id = %s",  # noqa: S608
            [user_id],
        )
        made = Approval(*cursor.fetchone())
        audit.write(cursor, audit.ADMINISTRATION, admin.username, made.username, f"account {state} {reason}")
    return made
