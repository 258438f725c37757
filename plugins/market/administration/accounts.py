"""Suspending an account, and reopening it: what administrators do to a person, with what follows from it.

Who deactivates his own account goes the same way, so the same doors are shut, and the same one opens them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from market.administration import users
from market.jobs.intake import cancel
from market.kit import audit, database
from market.kit.database import Cursor
from market.kit.errors import BadInputError, ConflictError
from market.kit.settings import load
from market.machines import registry
from market.people import members, program_tokens, suspension
from market.people.logins import Logins
from market.people.member import Member

FINISH, CANCEL = JOBS = ("finish", "cancel")  # what becomes of the jobs that are open
_BY_HIMSELF = "it was deactivated by its owner"
_NAMED = 5  # jobs in one message


class OpenJobsError(ConflictError):
    """Jobs are open that would be cancelled; `open_jobs` is how many."""

    title = "Jobs are open"

    def __init__(self, names: Sequence[str]) -> None:
        self._open_jobs = len(names)
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        super().__init__(
            f"{len(names)} of your jobs have not ended: {', '.join(names[:_NAMED])}{more}. "
            "Wait for their end, or have them cancelled (cancel_jobs)."
        )

    @property
    def members(self) -> Mapping[str, object]:
        """`open_jobs`: how many."""
        return {"open_jobs": self._open_jobs}


def suspend(logins: Logins, admin: Member, user_id: str, reason: str, jobs: str = FINISH) -> dict[str, Any]:
    """Suspend an account; return it as `users.find` does.

    Its sessions and tokens of every kind open nothing from then on, its machines are drained, and its open
    jobs finish or are cancelled. Again: the new reason holds, and what was left undone is done. Raises
    ConflictError for one's own and the market's own account, NotFoundError, RoleMissingError, and
    UnavailableError if jobs could not be stopped: the account is suspended then.
    """
    admin.require_admin()
    member = members.visible(admin, user_id)
    if member.user_id == admin.user_id:
        raise ConflictError("Nobody can suspend his own account. Ask another administrator.")
    _refuse_own_accounts(member)
    what = "finish" if jobs == FINISH else "are cancelled"
    detail = f"suspended the account of {member.username}, whose open jobs {what}: {reason}"
    with database.transaction() as cursor:
        suspension.begin(cursor, admin, member, reason, detail)
    _shut(logins, member, reason)
    if jobs == CANCEL:
        cancel.cancel_all(admin, user_id, f"your account is suspended: {reason}")
    return users.find(admin, user_id)


def deactivate(logins: Logins, member: Member, password: str, cancel_jobs: bool = False) -> dict[str, Any]:
    """Deactivate one's own account; return `{user_id, username, cancelled_jobs, draining_machines}`.

    It is suspended then, until an administrator reopens it. Raises what `leave` does.
    """
    return leave(logins, member, password, cancel_jobs, _BY_HIMSELF, "deactivated his own account")


def leave(
    logins: Logins,
    member: Member,
    password: str,
    cancel_jobs: bool,
    reason: str,
    detail: str,
    within: Callable[[Cursor], None] | None = None,
) -> dict[str, Any]:
    """Suspend one's own account; return `{user_id, username, cancelled_jobs, draining_machines}`.

    With `cancel_jobs` the open jobs are cancelled, else there may be none. `reason` is what the person is
    told, `detail` is for the audit, and `within` is called in the transaction that suspends. Raises
    BadInputError for a wrong password, ConflictError for the market's own account, OpenJobsError,
    OverLimitError, and UnavailableError if jobs could not be stopped: the account is suspended then.
    """
    _refuse_own_accounts(member)
    who = logins.check(member.username, password)
    if who is None or who.username != member.username:
        raise BadInputError({"password": ["is wrong"]})
    with database.transaction() as cursor:
        # A submission that came just before is waited for, and one that comes later finds the account shut.
        cursor.execute("SELECT FROM member WHERE user_id = %s FOR UPDATE", [member.user_id])
        cursor.execute(
            "SELECT job_name FROM job WHERE user_id = %s AND ended_ms IS NULL ORDER BY added_ms, job_id",
            [member.user_id],
        )
        names = [row.job_name for row in cursor.fetchall()]
        if names and not cancel_jobs:
            raise OpenJobsError(names)
        detail = f"{detail}; {len(names)} open jobs are cancelled"
        suspension.begin(cursor, member, member, reason, detail, audit.ACCOUNT)
        if within is not None:
            within(cursor)
    machines = _shut(logins, member, reason)
    if names:
        cancel.cancel_all(member, member.user_id, "the account is deactivated")
    return {
        "user_id": member.user_id,
        "username": member.username,
        "cancelled_jobs": len(names),
        "draining_machines": machines,
    }


def reopen(admin: Member, user_id: str, reason: str) -> dict[str, Any]:
    """Reopen a suspended account; return it as `users.find` does.

    Its person logs in anew: no session or token of before is good again. A deletion that he has asked for is
    taken back. Raises ConflictError for one that is not suspended, or is being deleted already,
    NotFoundError, RoleMissingError.
    """
    admin.require_admin()
    member = members.visible(admin, user_id)
    login_id = members.login_id(member.username)
    with database.transaction() as cursor:
        if login_id is not None:  # until then they were refused with the reason
            program_tokens.end_all_within(cursor, login_id, "the account was suspended")
        if not suspension.end(cursor, admin, member, reason):
            raise ConflictError("This account is not suspended.")
    return users.find(admin, user_id)


def _refuse_own_accounts(member: Member) -> None:
    if member.username in (load().service.admin, load().service.account):
        raise ConflictError("The market works by this account: it cannot be suspended.")


def _shut(logins: Logins, member: Member, reason: str) -> int:
    """End the sessions of a suspended account and drain its machines; return how many there are."""
    login_id = members.login_id(member.username)
    if login_id is not None:
        logins.end_sessions(login_id)
    return registry.leave_all(member.user_id, f"the account of its owner is suspended: {reason}")
