"""Members: the market's own row for a person, beside the login that he has elsewhere."""

from __future__ import annotations

from typing import Any

from market.credits import ledger
from market.kit import database
from market.kit.clock import new_id, now_ms
from market.kit.errors import NotFoundError
from market.kit.settings import load
from market.people.logins import Login
from market.people.member import Member

_COLUMNS = "user_id, username, email"


def of_login(login: Login) -> Member | None:
    """Return the member that a login belongs to, None if it has no market account."""
    with database.transaction() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM member WHERE fab_user_id = %s", [login.login_id])  # noqa: S608
        return _member(cursor.fetchone(), is_admin=login.is_admin)


def by_username(username: str) -> Member | None:
    """Return the member with this name; his roles are not looked up."""
    with database.transaction() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM member WHERE username = %s", [username])  # noqa: S608
        return _member(cursor.fetchone())


def login_id(username: str) -> int | None:
    """Return the login of the member with this name."""
    with database.transaction() as cursor:
        cursor.execute("SELECT fab_user_id FROM member WHERE username = %s", [username])
        row = cursor.fetchone()
        return int(row.fab_user_id) if row else None


def visible(viewer: Member, user_id: str) -> Member:
    """Return the member with this id, to himself and to admins.

    Raises NotFoundError for everybody else, whether there is such a member or not.
    """
    if viewer.user_id == user_id:
        return viewer
    member = None
    if viewer.is_admin:
        with database.transaction() as cursor:
            cursor.execute(f"SELECT {_COLUMNS} FROM member WHERE user_id = %s", [user_id])  # noqa: S608
            member = _member(cursor.fetchone())
    if member is None:
        raise NotFoundError("There is no such user.")
    return member


def enrol(login: Login) -> Member:
    """Make the market's row, the account and the first credits of a login; again: nothing changes but e-mail.

    One transaction, so that nobody is a member without an account.
    """
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO member (user_id, fab_user_id, username, email, created_ms)"
            " VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (fab_user_id) DO UPDATE SET email = excluded.email"
            " RETURNING user_id, username, email",
            [new_id(), login.login_id, login.username, login.email, now_ms()],
        )
        row = cursor.fetchone()
        ledger.open_account(cursor, row.user_id)
        grant_ucr = load().credits.micro("signup_grant")
        cursor.execute("SELECT EXISTS (SELECT FROM journal WHERE key = %s)", [f"signup:{row.user_id}"])
        if grant_ucr and not cursor.fetchone()[0]:
            ledger.grant(cursor, row.user_id, grant_ucr, "signup", key=f"signup:{row.user_id}")
    return Member(row.user_id, row.username, row.email)


def _member(row: Any, is_admin: bool = False) -> Member | None:
    return Member(row.user_id, row.username, row.email, is_admin) if row else None
