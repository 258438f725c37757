"""Suspended accounts: whether a login may act, asked of the database each time that something speaks for it.

Login forms, tokens of every kind, pages and agents all come through here, so a suspension holds from the
moment that it is committed, in every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market.kit import audit
from market.kit.clock import now_ms
from market.kit.database import Cursor, transaction
from market.kit.errors import ConflictError, NotLoggedInError
from market.people.member import Member

CLAIM = "reopened"  # of a token: how often the account had been reopened when it was issued


class AccountSuspendedError(NotLoggedInError):
    """The account is suspended, by an administrator or by its owner; the person is told why."""

    title = "Account suspended"

    def __init__(self, reason: str) -> None:
        told = reason if reason.endswith((".", "!", "?")) else f"{reason}."
        super().__init__(f"This account is suspended: {told} An administrator of this market can reopen it.")


def refuse(login_id: int) -> int:
    """Return how often a login's account was reopened; 0 without an account. Raises AccountSuspendedError."""
    with transaction() as cursor:
        cursor.execute("SELECT suspended_because, reopened FROM member WHERE fab_user_id = %s", [login_id])
        row = cursor.fetchone()
    if row is None:
        return 0
    _refuse(row.suspended_because)
    return int(row.reopened)


def refuse_token(claims: Mapping[str, Any], login_id: int) -> None:
    """Check a token of a login by its claims.

    Raises AccountSuspendedError, NotLoggedInError for one of before a suspension that is over.
    """
    if refuse(login_id) != claims.get(CLAIM, 0):
        raise NotLoggedInError("This token is from before your account was suspended. Log in again.")


def refuse_act(cursor: Cursor, user_id: str) -> None:
    """Let a member's transaction go on only if he is not suspended, and a suspension wait for its end.

    So what a request adds that came just before is there when the suspension looks for it.
    Raises AccountSuspendedError.
    """
    cursor.execute("SELECT suspended_because FROM member WHERE user_id = %s FOR SHARE", [user_id])
    row = cursor.fetchone()
    if row is not None:
        _refuse(row.suspended_because)


def begin(
    cursor: Cursor,
    by: Member,
    member: Member,
    reason: str,
    detail: str,
    kind: str = audit.ADMINISTRATION,
) -> None:
    """Suspend an account; of one that is suspended, change the reason.

    `detail` and `kind` are for the audit.
    """
    cursor.execute(
        "UPDATE member SET suspended_ms = coalesce(suspended_ms, %s), suspended_by = %s,"
        " suspended_because = %s WHERE user_id = %s",
        [now_ms(), by.username, reason, member.user_id],
    )
    audit.write(cursor, kind, by.username, member.user_id, detail)


def end(cursor: Cursor, by: Member, member: Member, reason: str) -> bool:
    """Reopen an account; tell whether it was suspended. Tokens of before it stay without effect.

    A deletion that its owner has asked for is taken back. Raises ConflictError for one that has begun.
    """
    cursor.execute(
        "SELECT deletion_due_ms, erasing_ms FROM member WHERE user_id = %s AND suspended_ms IS NOT NULL"
        " FOR UPDATE",
        [member.user_id],
    )
    row = cursor.fetchone()
    if row is None:
        return False
    if row.erasing_ms is not None:
        raise ConflictError("The owner of this account had it deleted: nobody can reopen it.")
    cursor.execute(
        "UPDATE member SET suspended_ms = NULL, suspended_by = NULL, suspended_because = NULL,"
        " deletion_due_ms = NULL, reopened = reopened + 1 WHERE user_id = %s",
        [member.user_id],
    )
    taken_back = ", whose deletion is taken back" if row.deletion_due_ms is not None else ""
    detail = f"reopened the account of {member.username}{taken_back}: {reason}"
    audit.write(cursor, audit.ADMINISTRATION, by.username, member.user_id, detail)
    return True


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise AccountSuspendedError(reason)
