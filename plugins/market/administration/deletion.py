"""Deletion of an account, by its owner: asked for, taken back by an administrator, carried out days later.

The account is deactivated at once. When its time has come a loop removes what is its owner's: his home,
secrets, tokens, channels, address and name. What the ledger names stays: the id, with its balance, and the
username, so that nobody is ever taken for somebody else. Each step can be repeated, so after a kill the next
pass goes on. The first one closes the way back: no account is reopened with a part of it gone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from market.administration import accounts
from market.jobs.intake import cancel
from market.kit import audit, database, isolation
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.errors import ConflictError, UnavailableError
from market.kit.settings import load
from market.kit.vocabulary import DELETION, MACHINE_STAYING
from market.machines import registry
from market.notifications import channels
from market.people import (
    account_mails,
    confirmation,
    homes,
    program_tokens,
    retired_addresses,
    secrets,
)
from market.people.logins import Logins
from market.people.member import Member
from market.people.projects import changes as projects

_WORK = "deleting accounts"
_DAY_MS = 86_400_000
_BATCH = 50
_DELETED = "its owner had it deleted"
_CANCELLED = "its account is deleted"
# Jobs that nobody has stopped, and machines that nobody drains: left by whoever was killed at the request.
_LEFT_OVER = """(
    EXISTS (SELECT FROM job j WHERE j.user_id = m.user_id AND j.ended_ms IS NULL AND j.stop_code IS NULL)
    OR EXISTS (SELECT FROM machine c WHERE c.user_id = m.user_id AND c.state = ANY (%s)))
"""


def ask(logins: Logins, member: Member, password: str, cancel_jobs: bool = False) -> dict[str, Any]:
    """Have one's own account deleted, and deactivate it.

    Returns what `accounts.leave` does, and `deletion_time`; his confirmed address is told. Raises what
    `accounts.leave` does, and ConflictError for the owner of a project that others are in.
    """
    due_ms = now_ms() + load().accounts.deletion_days * _DAY_MS
    day = datetime.fromtimestamp(due_ms / 1000, UTC).strftime("%Y-%m-%d")

    def within(cursor: Cursor) -> None:
        projects.refuse_owner(cursor, member)
        cursor.execute(
            "UPDATE member SET deletion_due_ms = %s WHERE user_id = %s AND deletion_due_ms IS NULL",
            [due_ms, member.user_id],
        )
        told = cursor.rowcount == 1 and load().mail.enabled  # of two requests at once the first is told
        if told and confirmation.state(cursor, member).confirmed:
            account_mails.add(cursor, DELETION, member.user_id, member.email)

    left = accounts.leave(
        *(logins, member, password, cancel_jobs),
        f"its owner has asked for its deletion, which begins on {day} (UTC)",
        f"asked for the deletion of his own account, on {day}",
        within,
    )
    return {**left, "deletion_time": due_ms}


def run_pass(erase_login: Callable[[str], object]) -> None:
    """Finish what requests have begun, and delete the accounts whose time has come.

    `erase_login` takes address, name, roles and password from the login with a username. An account whose
    jobs have not ended waits for them.
    """
    with database.transaction() as cursor:
        cursor.execute(
            f"SELECT m.user_id, m.username, {_LEFT_OVER} AS left_over FROM member m"  # noqa: S608 - own words
            " WHERE m.deletion_due_ms IS NOT NULL AND m.erased_ms IS NULL AND m.suspended_ms IS NOT NULL"
            f" AND {isolation.due('m.user_id')} AND ({_LEFT_OVER} OR m.deletion_due_ms <= %s AND NOT EXISTS"
            "  (SELECT FROM job j WHERE j.user_id = m.user_id AND j.ended_ms IS NULL))"
            " ORDER BY m.deletion_due_ms, m.user_id LIMIT %s",
            [list(MACHINE_STAYING), _WORK, now_ms(), list(MACHINE_STAYING), now_ms(), _BATCH],
        )
        found = cursor.fetchall()

    def go_on(row: Any) -> None:
        if row.left_over:
            _finish(Member(row.user_id, row.username, ""))
        else:
            _erase(row.user_id, erase_login)

    isolation.each(_WORK, found, go_on, lambda row: str(row.user_id))


def _finish(member: Member) -> None:
    registry.leave_all(member.user_id, f"the account of its owner is suspended: {_DELETED}")
    try:
        cancel.cancel_all(member, member.user_id, _CANCELLED)
    except UnavailableError as error:  # of his own jobs: it says nothing of other accounts
        raise ConflictError(error.detail) from error


def _erase(user_id: str, erase_login: Callable[[str], object]) -> None:
    username = _begin(user_id)
    if username is None:  # reopened meanwhile
        return
    homes.remove(username)
    erase_login(username)
    _conclude(user_id, username)


@database.again
def _begin(user_id: str) -> str | None:
    """Close the way back; return the username, None where there is nothing to do.

    The digests of addresses come before the login gives its own free: else somebody could be faster with it.
    """
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT username, erasing_ms FROM member WHERE user_id = %s AND erased_ms IS NULL"
            " AND suspended_ms IS NOT NULL AND deletion_due_ms <= %s FOR NO KEY UPDATE",
            [user_id, now_ms()],
        )
        row = cursor.fetchone()
        if row is None:
            return None
        if row.erasing_ms is None:
            cursor.execute(
                "UPDATE member SET erasing_ms = %s, suspended_because = %s WHERE user_id = %s",
                [now_ms(), _DELETED, user_id],
            )
            retired_addresses.retire(cursor, user_id)
            detail = "the deletion begins: nobody can reopen the account from here on"
            audit.write(cursor, audit.ACCOUNT, row.username, user_id, detail)
    return str(row.username)


@database.again
def _conclude(user_id: str, username: str) -> None:
    """Remove what the database has of a member beside the ledger, all at once."""
    with database.transaction() as cursor:
        # First, as whoever gives somebody a role locks the project's tree and then its new member.
        projects.leave_all(cursor, Member(user_id, username, ""))
        cursor.execute(
            "SELECT fab_user_id FROM member WHERE user_id = %s AND erased_ms IS NULL FOR NO KEY UPDATE",
            [user_id],
        )
        row = cursor.fetchone()
        if row is None:
            return
        program_tokens.end_all_within(cursor, row.fab_user_id, "the account was deleted")
        secrets.delete_all(cursor, user_id)
        channels.delete_all(cursor, user_id)
        account_mails.forget(cursor, user_id)
        cursor.execute("DELETE FROM idempotency WHERE user_id = %s", [user_id])  # answers hold his words
        cursor.execute("UPDATE member SET email = '', erased_ms = %s WHERE user_id = %s", [now_ms(), user_id])
        detail = "the account is deleted: its home, secrets, tokens, channels, address and name are gone"
        audit.write(cursor, audit.ACCOUNT, username, user_id, detail)
