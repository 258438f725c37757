"""Members: the market's own row for a person, beside the login that he has elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from market.credits import ledger
from market.kit import database
from market.kit.clock import new_id, now_ms
from market.kit.errors import NotFoundError
from market.kit.settings import load
from market.kit.vocabulary import BY_APPROVAL
from market.people import approvals, opening
from market.people.logins import Login
from market.people.member import Member

_COLUMNS = "user_id, username, email"


def of_login(login: Login) -> Member | None:
    """Return the member that a login belongs to, None if it has no market account."""
    with database.transaction() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM member WHERE fab_user_id = %s", [login.login_id])  # noqa: S608
        member = _member(cursor.fetchone(), is_admin=login.is_admin)
    return member and replace(member, display_name=login.display_name)


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


def username(user_id: str) -> str:
    """Return the name of a member. Raises NotFoundError."""
    with database.transaction() as cursor:
        cursor.execute("SELECT username FROM member WHERE user_id = %s", [user_id])
        row = cursor.fetchone()
    if row is None:
        raise NotFoundError("There is no such user.")
    return str(row.username)


def note_login(login_id: int) -> None:
    """Remember that somebody has logged in with his password just now."""
    with database.transaction() as cursor:
        cursor.execute("UPDATE member SET last_login_ms = %s WHERE fab_user_id = %s", [now_ms(), login_id])


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
    """Make the market's row and the account of a login; again: nothing changes but e-mail.

    The first credits come with it, unless they wait for something (opening.py). Where accounts need an
    administrator's word, every new one does that is no administrator's: also one that somebody made in
    Airflow, since a registration that is cut off looks the same. One transaction, so that nobody is a member
    without an account.
    """
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO member (user_id, fab_user_id, username, email, created_ms)"
            " VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (fab_user_id) DO UPDATE SET email = excluded.email"
            " RETURNING user_id, username, email, xmax = 0 AS made",
            [new_id(), login.login_id, login.username, login.email, now_ms()],
        )
        row = cursor.fetchone()
        ledger.open_account(cursor, row.user_id)
        if row.made and load().accounts.registration == BY_APPROVAL and not login.is_admin:
            approvals.ask(cursor, row.user_id)
        opening.pay(cursor, row.user_id)
    return Member(row.user_id, row.username, row.email, display_name=login.display_name)


def _member(row: Any, is_admin: bool = False) -> Member | None:
    return Member(row.user_id, row.username, row.email, is_admin) if row else None
