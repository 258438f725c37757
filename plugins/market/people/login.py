"""Login with a password: the check, which is limited, then a token."""

from __future__ import annotations

from typing import Any

from market.kit.errors import BadInputError, NotLoggedInError
from market.people import members, passwords
from market.people.logins import Logins, Token
from market.people.member import Member


def login(logins: Logins, username: str, password: str) -> dict[str, Any]:
    """Return a token to a caller who knows this user's password.

    Raises NotLoggedInError without telling what was wrong, and OverLimitError.
    """
    who = logins.check(username, password)
    member = members.of_login(who) if who else None  # a first login has enrolled him by now
    if who is None or member is None:
        raise NotLoggedInError("The username or the password is wrong.")
    return _told(logins.issue(who), member)


def change(logins: Logins, member: Member, old_password: str, new_password: str) -> dict[str, Any]:
    """Change a member's password, and return a new token: all older ones end.

    Raises BadInputError if the old one is wrong or the new one breaks a rule, OverLimitError.
    """
    who = logins.check(member.username, old_password)
    if who is None or who.username != member.username:
        raise BadInputError({"old_password": ["is wrong"]})
    if old_password == new_password:
        raise BadInputError({"new_password": ["is the old one"]})
    passwords.check(new_password, member.username, member.email, field="new_password")
    logins.change_password(who, new_password)
    return _told(logins.issue(who), member)


def _told(token: Token, member: Member) -> dict[str, Any]:
    return {"access_token": token.text, "expires_in": token.lifetime_s, "user_id": member.user_id}
