"""Tokens: Airflow's own, signed by it and understood by its UI, its API, the market's routes and pages.

`_get_token_validator` is private to Airflow's auth managers; tests/airflow/test_accounts.py would notice its
going.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from airflow.api_fastapi.app import get_auth_manager, get_cookie_path
from airflow.models.revoked_token import RevokedToken
from jwt import InvalidTokenError

from market.airflow import service_token
from market.kit.errors import NotLoggedInError
from market.kit.settings import load
from market.people import suspension
from market.people.logins import Token

if TYPE_CHECKING:
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
    from airflow.providers.fab.auth_manager.models import User
    from flask import Response

COOKIE = "_token"  # what Airflow's UI logs in with
_SESSION_COOKIE = "session"  # who is logged in to the pages below /auth
_KEY = "key"  # the claim that holds a token to the password that it was issued under


def user_of(token: str) -> User:
    """Return the login that a token speaks for.

    Raises NotLoggedInError for a token that is malformed, forged, expired or revoked, and for one whose
    user was deleted, deactivated or, with the reason, suspended.
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
    refuse_suspended(claims, user)
    return user


def refuse_suspended(told: dict[str, Any], user: User) -> None:
    """Refuse a token of an account that is suspended, or was since. Raises NotLoggedInError.

    It asks the database, so it is nothing for an event loop.
    """
    if told.get(service_token.CLAIM) is not True:
        suspension.refuse_token(told, user.id)


def revoke(token: str) -> None:
    """End a token; one that is not valid is ended already."""
    with suppress(InvalidTokenError, ValueError, KeyError, TypeError):
        get_auth_manager().revoke_token(token)


def issue(user: User) -> Token:
    """Return a new token for a login."""
    lifetime_s = load().accounts.token_lifetime_s
    return Token(get_auth_manager().generate_jwt(user, expiration_time_in_seconds=lifetime_s), lifetime_s)


def give_to_browser(response: Response, token: Token, secure: bool) -> None:
    """Log a browser in, as Airflow's own form does; `secure`: it came over TLS. Another's session ends."""
    path = get_cookie_path()
    response.set_cookie(COOKIE, token.text, path=path, secure=secure, httponly=True, samesite="Lax")
    response.delete_cookie(_SESSION_COOKIE, path=path, secure=secure, httponly=True)


def claims(user: User) -> dict[str, Any]:
    """Return what a token says of its login beside Airflow's own: it ends with the password of its time.

    It ends with a suspension, too. Raises AccountSuspendedError.
    """
    return {_KEY: fingerprint(user), suspension.CLAIM: suspension.refuse(user.id)}


def check(told: dict[str, Any], user: User) -> None:
    """Raise ValueError for a token that was issued under another password of this login."""
    if told.get(service_token.CLAIM) is not True and told.get(_KEY) != fingerprint(user):
        raise ValueError("the password was changed after this token was issued")


def forget(login_id: int) -> None:
    """Let this process look anew at a login that it has seen a moment ago."""
    cast("FabAuthManager", get_auth_manager()).cache.pop(login_id, None)


def fingerprint(user: User) -> str:
    """Return what changes with a login's password: made of the stored hash, which has a salt."""
    return hashlib.sha256(f"{user.id} {user.password or ''}".encode()).hexdigest()[:32]
