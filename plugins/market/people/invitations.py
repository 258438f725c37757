"""Invitations: codes by which people register where the market is open to nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from market.kit import audit, database
from market.kit.clock import new_id, now_ms
from market.kit.errors import BadInputError, ConflictError, NotFoundError, OverLimitError
from market.kit.paging import Listing, Page
from market.people import codes
from market.people.member import Member

PREFIX = "dmi_"  # by which people know one
ORDERS = ("created_time",)
MOST_USES = 10_000
_MOST = 1_000  # that are in force at a time
_COLUMNS = "invitation_id, note, uses, used, made_by, created_ms, expires_ms, revoked_ms"
_IN_FORCE = "revoked_ms IS NULL AND expires_ms > %s AND used < uses"
_INVALID = "is not valid: it was used up or revoked, has expired, or has never been. Ask for another one"


@dataclass(frozen=True)
class Invitation:
    """An invitation without its code; times in epoch milliseconds."""

    invitation_id: str
    note: str
    uses: int
    used: int
    made_by: str
    created_ms: int
    expires_ms: int
    revoked_ms: int | None


def create(admin: Member, note: str, uses: int, lifetime_s: int) -> dict[str, Any]:
    """Make an invitation; return it with its code, which nobody can see again. Raises OverLimitError."""
    code, at_ms = codes.new(PREFIX), now_ms()
    made = Invitation(new_id(), note, uses, 0, admin.username, at_ms, at_ms + lifetime_s * 1000, None)
    with database.transaction() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('invitations', 0))")
        cursor.execute(f"SELECT count(*) AS n FROM invitation WHERE {_IN_FORCE}", [at_ms])  # noqa: S608
        if cursor.fetchone().n >= _MOST:
            raise OverLimitError(
                f"There are {_MOST} invitations, the most that there may be. Revoke some first."
            )
        cursor.execute(
            "INSERT INTO invitation (invitation_id, hash, note, uses, made_by, created_ms, expires_ms)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                *(made.invitation_id, codes.hashed(code), note, uses),
                *(admin.username, made.created_ms, made.expires_ms),
            ],
        )
        words = f"invitation {made.invitation_id} made, for {uses} accounts"
        audit.write(cursor, audit.ADMINISTRATION, admin.username, note, words)
    return {**vars(made), "code": code}


def list_invitations(page: Page) -> Listing[Invitation]:
    """Return a page of the invitations, the newest first unless it says otherwise."""
    direction = "DESC" if page.descending else "ASC"
    with database.transaction() as cursor:
        cursor.execute("SELECT count(*) AS n FROM invitation")
        total = cursor.fetchone().n
        cursor.execute(
            f"SELECT {_COLUMNS} FROM invitation"  # noqa: S608
            f" ORDER BY created_ms {direction}, invitation_id LIMIT %s OFFSET %s",
            [page.limit, page.offset],
        )
        return Listing([Invitation(*row) for row in cursor.fetchall()], total)


def revoke(admin: Member, invitation_id: str) -> None:
    """Have an invitation be good no more; the accounts that were made with it stay.

    Raises NotFoundError, ConflictError if it was revoked before.
    """
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT note, revoked_ms FROM invitation WHERE invitation_id = %s FOR UPDATE", [invitation_id]
        )
        row = cursor.fetchone()
        if row is None:
            raise NotFoundError("There is no such invitation.")
        if row.revoked_ms is not None:
            raise ConflictError("This invitation was revoked already.")
        cursor.execute(
            "UPDATE invitation SET revoked_ms = %s WHERE invitation_id = %s", [now_ms(), invitation_id]
        )
        audit.write(
            cursor, audit.ADMINISTRATION, admin.username, row.note, f"invitation {invitation_id} revoked"
        )


def check(code: str) -> None:
    """Raise BadInputError for a code by which nobody can register now."""
    with database.transaction() as cursor:
        cursor.execute(
            f"SELECT FROM invitation WHERE hash = %s AND {_IN_FORCE}",
            [codes.hashed(code), now_ms()],
        )
        if not cursor.rowcount:
            raise BadInputError({"invitation": [_INVALID]})


@database.again
def use(code: str, username: str) -> None:
    """Count an account that is made with an invitation. Raises BadInputError if it is good for none more."""
    with database.transaction() as cursor:
        cursor.execute(
            f"UPDATE invitation SET used = used + 1 WHERE hash = %s AND {_IN_FORCE} RETURNING invitation_id",  # noqa: S608
            [codes.hashed(code), now_ms()],
        )
        row = cursor.fetchone()
        if row is None:
            raise BadInputError({"invitation": [_INVALID]})
        audit.write(cursor, audit.ACCOUNT, username, "registration", f"with invitation {row.invitation_id}")


def give_back(code: str) -> None:
    """Take back a use that has led to no account."""
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE invitation SET used = used - 1 WHERE hash = %s AND used > 0", [codes.hashed(code)]
        )
