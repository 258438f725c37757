"""Logins of the market: users, passwords and roles of Flask-AppBuilder, and Airflow's tokens.

They work in an api-server only: no other process has Airflow's auth manager.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from airflow.api_fastapi.app import get_auth_manager
from airflow.providers.fab.auth_manager.security_manager.override import (
    FabAirflowSecurityManagerOverride,
    FabException,
)
from flask import has_app_context
from sqlalchemy import func, select

from market.airflow import tokens
from market.kit.errors import ConflictError, NotLoggedInError, UnavailableError
from market.people import program_tokens
from market.people.logins import ROLE, Login, Token

if TYPE_CHECKING:
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
    from airflow.providers.fab.auth_manager.models import User

    from market.airflow.auth_manager import MarketAuthManager


class AirflowLogins:
    """The logins that Airflow knows: `market.people.logins.Logins`."""

    def named(self, username: str) -> Login | None:
        """Return the login with this name."""
        with _security_manager() as manager:
            return _login(manager.find_user(username=username))

    def with_email(self, email: str) -> Login | None:
        """Return the login with this e-mail address."""
        with _security_manager() as manager:
            return _login(with_address(manager, email))

    def add(self, username: str, email: str, password: str) -> Login:
        """Make a login with the role of market users. Raises ConflictError, UnavailableError."""
        with _security_manager() as manager:
            role = manager.find_role(ROLE)
            if role is None:
                raise UnavailableError("The market is not set up yet: its roles are missing.")
            try:
                return login_of(manager.add_user(username, username, "", email, role, password))
            except FabException:
                # Somebody else was faster with this name or address, or the database is away.
                if manager.find_user(username=username) or with_address(manager, email):
                    raise ConflictError("The username or the e-mail address was taken meanwhile.") from None
                raise UnavailableError("The account could not be stored. Try again in a minute.") from None

    def check(self, username: str, password: str) -> Login | None:
        """Return the active login whose password this is; an attempt is counted. Raises OverLimitError."""
        with _security_manager() as manager:
            return _login(manager.auth_user_db(username, password, rotate_session_id=False))

    def change_password(self, login: Login, password: str) -> None:
        """Give a login another password; its sessions and tokens end. Raises BadInputError."""
        with _security_manager() as manager:
            manager.reset_password(login.login_id, password)

    def change_email(self, login_id: int, email: str) -> None:
        """Give a login another e-mail address. Raises ConflictError, NotLoggedInError."""
        with _security_manager() as manager:
            user = _stored(manager, login_id)
            other = with_address(manager, email)
            if other is not None and other.id != login_id:
                raise ConflictError("This e-mail address has an account already. Give another one.")
            user.email = email
            _store(manager, user)

    def rename(self, login_id: int, display_name: str) -> None:
        """Give a login another name to be shown by. Raises NotLoggedInError."""
        with _security_manager() as manager:
            user = _stored(manager, login_id)
            user.first_name, user.last_name = display_name, ""
            _store(manager, user)

    def end_sessions(self, login_id: int) -> None:
        """End the sessions of a login on Airflow's own pages, and forget what this process knows of it."""
        manager = cast("FabAuthManager", get_auth_manager())
        if manager.flask_app is None:
            raise RuntimeError("the auth manager's Flask application was not made: no api-server runs here")
        with manager.flask_app.app_context():  # also on a page: those below /auth have sessions of their own
            security = cast("FabAirflowSecurityManagerOverride", manager.security_manager)
            if user := security.get_user_by_id(login_id):
                security.reset_user_sessions(user)
        tokens.forget(login_id)

    def password_key(self, login_id: int) -> str:
        """Return what changes with a login's password. Raises NotLoggedInError."""
        with _security_manager() as manager:
            return tokens.fingerprint(_stored(manager, login_id))

    def issue(self, login: Login) -> Token:
        """Return a new token for a login."""
        with _security_manager() as manager:
            return tokens.issue(_stored(manager, login.login_id))


def login_of(user: User) -> Login:
    """Return a user of Flask-AppBuilder as the market knows him."""
    roles = frozenset(role.name for role in user.roles)
    shown = f"{user.first_name or ''} {user.last_name or ''}".strip()
    return Login(user.id, user.username, user.email, roles, shown)


def of_token(token: str) -> Login:
    """Return the login that a token speaks for. Raises NotLoggedInError."""
    return login_of(tokens.user_of(token))


def of_program(token: str) -> tuple[Login, frozenset[str]]:
    """Return the login that a token for programs speaks for, and its scopes. Raises NotLoggedInError."""
    proof = program_tokens.proof(token)
    manager = cast("MarketAuthManager", get_auth_manager())
    try:
        user = manager.user_with_id(proof.login_id)
        if tokens.fingerprint(user) != proof.password_key:  # perhaps this process saw him before a change
            tokens.forget(proof.login_id)
            user = manager.user_with_id(proof.login_id)
    except ValueError:
        raise NotLoggedInError("The login of this token was deleted or deactivated.") from None
    if tokens.fingerprint(user) != proof.password_key:
        raise NotLoggedInError("The password was changed after this token was made. Make another one.")
    return login_of(user), proof.scopes


def with_id(login_id: int) -> Login | None:
    """Return the active login with this `ab_user.id`."""
    try:
        return login_of(cast("MarketAuthManager", get_auth_manager()).user_with_id(login_id))
    except ValueError:  # deleted or deactivated since
        return None


def page(next_url: str = "") -> str:
    """Return the address of the page on which to log in, and which page comes after it."""
    return str(get_auth_manager().get_url_login(next_url=next_url))


def with_address(manager: FabAirflowSecurityManagerOverride, email: str) -> User | None:
    """Return the user with this e-mail address, in capital or small letters."""
    model = manager.user_model
    found: User | None = manager.session.scalars(
        select(model).where(func.lower(model.email) == email.lower()).limit(1)
    ).first()
    return found


def _stored(manager: FabAirflowSecurityManagerOverride, login_id: int) -> User:
    user: User | None = manager.get_user_by_id(login_id)
    if user is None:
        raise NotLoggedInError("This login was deleted just now.")
    return user


def _store(manager: FabAirflowSecurityManagerOverride, user: User) -> None:
    login_id = user.id
    if not manager.update_user(user):
        raise UnavailableError("The account could not be stored. Try again in a minute.")
    tokens.forget(login_id)


def _login(user: User | None) -> Login | None:
    return login_of(user) if user else None


@contextmanager
def _security_manager() -> Iterator[FabAirflowSecurityManagerOverride]:
    """Yield the security manager of this api-server, inside the Flask application that it needs."""
    manager = cast("FabAuthManager", get_auth_manager())
    if has_app_context():  # a page asks
        yield cast("FabAirflowSecurityManagerOverride", manager.security_manager)
        return
    if manager.flask_app is None:
        raise RuntimeError("the auth manager's Flask application was not made: no api-server runs here")
    with manager.flask_app.app_context():
        yield cast("FabAirflowSecurityManagerOverride", manager.security_manager)
