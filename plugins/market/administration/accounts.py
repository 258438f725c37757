"""Suspending an account, and reopening it: what administrators do to a person, with what follows from it."""

from __future__ import annotations

from typing import Any

from market.administration import users
from market.jobs.intake import cancel
from market.kit import database
from market.kit.errors import ConflictError
from market.kit.settings import load
from market.machines import registry
from market.people import members, program_tokens, suspension
from market.people.logins import Logins
from market.people.member import Member

FINISH, CANCEL = JOBS = ("finish", "cancel")  # what becomes of the jobs that are open


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
    if member.username in (load().service.admin, load().service.account):
        raise ConflictError("The market works by this account: it cannot be suspended.")
    what = "finish" if jobs == FINISH else "are cancelled"
    detail = f"suspended the account of {member.username}, whose open jobs {what}: {reason}"
    with database.transaction() as cursor:
        suspension.begin(cursor, admin, member, reason, detail)
    login_id = members.login_id(member.username)
    if login_id is not None:
        logins.end_sessions(login_id)
    registry.leave_all(user_id, f"the account of its owner is suspended: {reason}")
    if jobs == CANCEL:
        cancel.cancel_all(admin, user_id, f"your account is suspended: {reason}")
    return users.find(admin, user_id)


def reopen(admin: Member, user_id: str, reason: str) -> dict[str, Any]:
    """Reopen a suspended account; return it as `users.find` does.

    Its person logs in anew: no session or token of before is good again. Raises ConflictError for one that is
    not suspended, NotFoundError, RoleMissingError.
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
