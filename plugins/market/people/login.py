"""Login with a password: a limit first, then Flask-AppBuilder's check, then one of Airflow's tokens."""

from __future__ import annotations

from typing import Any

from market.airflow import fab, tokens
from market.kit.errors import NotLoggedInError
from market.people import limits, members


def login(username: str, password: str, address: str) -> dict[str, Any]:
    """Return a token for who proves to be this user; `address` is where the attempt comes from.

    Raises NotLoggedInError without telling what was wrong, and OverLimitError.
    """
    limits.login_attempt(address, username)
    with fab.security_manager() as manager:
        user = manager.auth_user_db(username, password, rotate_session_id=False)
        member = members.of_user(user) if user else None  # a first login has enrolled him by now
        if user is None or member is None:
            raise NotLoggedInError("The username or the password is wrong.")
        token, lifetime_s = tokens.issue(user)
    return {"access_token": token, "expires_in": lifetime_s, "user_id": member.user_id}
