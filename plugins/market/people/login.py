"""Login with a password: a limit first, then the check, then a token."""

from __future__ import annotations

from typing import Any

from market.kit.errors import NotLoggedInError
from market.people import limits, members
from market.people.logins import Logins


def login(logins: Logins, username: str, password: str, address: str) -> dict[str, Any]:
    """Return a token to a caller who knows this user's password; `address` is the caller's.

    Raises NotLoggedInError without telling what was wrong, and OverLimitError.
    """
    limits.login_attempt(address, username)
    who = logins.check(username, password)
    member = members.of_login(who) if who else None  # a first login has enrolled him by now
    if who is None or member is None:
        raise NotLoggedInError("The username or the password is wrong.")
    token = logins.issue(who)
    return {"access_token": token.text, "expires_in": token.lifetime_s, "user_id": member.user_id}
