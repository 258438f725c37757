"""Tokens: Airflow's own, signed by it and understood by its UI, its API, the market's routes and pages.

`_get_token_validator` is private to Airflow's auth managers; tests/airflow/test_accounts.py would notice its
going.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.api_fastapi.app import get_auth_manager
from airflow.models.revoked_token import RevokedToken
from jwt import InvalidTokenError

from market.kit.errors import NotLoggedInError
from market.kit.settings import load
from market.people.logins import Token

if TYPE_CHECKING:
    from airflow.providers.fab.auth_manager.models import User

COOKIE = "_token"  # what Airflow's UI logs in with


def user_of(token: str) -> User:
    """Return the login that a token speaks for.

    Raises NotLoggedInError for a token that is malformed, forged, expired or revoked, and for one whose
    user was deleted or deactivated.
    """
    manager = get_auth_manager()
    try:
        claims = manager._get_token_validator().validated_claims(token)
        identity = claims.get("jti")
        if identity and RevokedToken.is_revoked(identity):
            raise NotLoggedInError("This token was revoked by a logout. Log in again.")
        user: User = manager.deserialize_user(claims)
    except (InvalidTokenError, ValueError, KeyError, TypeError):
        raise NotLoggedInError("This token is not valid, or has expired. Log in again.") from None
    return user


def issue(user: User) -> Token:
    """Return a new token for a login."""
    lifetime_s = load().accounts.token_lifetime_s
    return Token(get_auth_manager().generate_jwt(user, expiration_time_in_seconds=lifetime_s), lifetime_s)
