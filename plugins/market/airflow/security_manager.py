"""Flask-AppBuilder's security manager, fitted to Airflow 3 and to the market (config/webserver_config.py).

Airflow serves two Flask applications: one below /auth with the login form and the pages on users and roles,
one below /pluginsv2 with the pages of plugins. They would share the name of their session cookie but not what
is in it, so each visit of one would log out of the other. Here only the first has sessions with a login; the
second knows a person by Airflow's token, which a logout revokes for both.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride
from flask import Request, current_app, has_request_context, request
from werkzeug.exceptions import default_exceptions
from werkzeug.wrappers import Response

from market.airflow import logins, tokens
from market.airflow.own_password import OwnPasswordView
from market.kit import audit
from market.kit.errors import MarketError, NotLoggedInError
from market.people import account_mails, limits, members, passwords, program_tokens, suspension
from market.people.registration import complete

if TYPE_CHECKING:
    from airflow.providers.fab.auth_manager.models import User
    from flask_login import LoginManager

log = logging.getLogger(__name__)

_PLUGIN_COOKIE = "market_session"
_LONGEST_NAME = 512


class MarketSecurityManager(FabAirflowSecurityManagerOverride):
    """Knows people by Airflow's token too, and gives a login its market account.

    Whatever way leads to a password (the market's routes, Airflow's tokens, its form, its pages, its own
    API), it is checked and set here: so the limit on attempts and the rule on passwords stand here.
    """

    resetmypasswordview = OwnPasswordView

    def __init__(self, appbuilder: Any) -> None:
        if appbuilder.enable_plugins:
            current_app.config["SESSION_COOKIE_NAME"] = _PLUGIN_COOKIE
        current_app.register_error_handler(MarketError, _told_on_a_page)
        super().__init__(appbuilder)

    def auth_user_db(self, username: Any, password: Any, rotate_session_id: bool = True) -> User | None:
        """Return the active login with this name or e-mail address, if the password is his.

        Raises OverLimitError, and to him who knows the password AccountSuspendedError.
        """
        if not isinstance(username, str) or not isinstance(password, str) or len(username) > _LONGEST_NAME:
            return None
        # Flask-AppBuilder takes the e-mail address, too, but only in the very letters that it stores.
        named = logins.with_address(self, username) if "@" in username else None
        name = named.username if named else username
        address = (request.remote_addr or "") if has_request_context() else limits.caller.get()
        limits.login_attempt(address, name)
        found: User | None = super().auth_user_db(name, password, rotate_session_id)
        if found is None:
            audit.refusal(address or "unknown", "login", "The username or the password is wrong.")
        else:
            limits.logged_in(address, found.username)
            self._refuse_suspended(found, address)
            members.note_login(found.id)
        return found

    def _refuse_suspended(self, user: User, address: str) -> None:
        try:
            suspension.refuse(user.id)
        except suspension.AccountSuspendedError as error:
            audit.refusal(user.username, f"login from {address or 'unknown'}", error.detail)
            raise

    def load_user(self, pk: int) -> User | None:
        """Return the active login of a session, if its account is not suspended."""
        user: User | None = super().load_user(pk)
        try:
            if user is not None:
                suspension.refuse(user.id)
        except suspension.AccountSuspendedError:
            return None
        return user

    def add_user(self, username: str, *arguments: Any, **named: Any) -> User:
        """Make a login. Raises BadInputError for a password that breaks a rule."""
        if password := named.get("password") or (arguments[4] if len(arguments) > 4 else ""):
            passwords.check(password, username)
        return super().add_user(username, *arguments, **named)

    def reset_password(self, userid: int, password: str) -> bool:
        """Give a login another password; its sessions and tokens of every kind end. Raises BadInputError."""
        user = self.get_user_by_id(userid)
        passwords.check(password, *([user.username, user.email or ""] if user else []))
        done: bool = super().reset_password(userid, password)
        tokens.forget(userid)
        program_tokens.end_all(userid, "the password was changed")
        account_mails.end_all(userid)
        return done

    def register_views(self) -> None:
        """Serve the pages on users, roles and login below /auth only: /pluginsv2 would repeat them."""
        if not self.appbuilder.enable_plugins:
            super().register_views()

    def create_login_manager(self) -> LoginManager:
        """Know a person by the session, else by the token."""
        manager = super().create_login_manager()
        manager.request_loader(self.load_user_from_request)
        return manager

    def load_user_from_request(self, request: Request) -> User | None:
        """Return the active login that the request's token speaks for: header first, then cookie."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            token = request.cookies.get(tokens.COOKIE, "")
        if not token:
            return None
        try:
            return self.load_user(tokens.user_of(token.strip()).id)
        except NotLoggedInError:
            return None

    def on_user_login(self, user: User) -> None:
        """Give the login its market account, if it should have one and has none."""
        try:
            complete(logins.login_of(user))
        except Exception:  # logging in to Airflow must not depend on it
            log.exception("the market account of %s could not be made", user.username)


def _told_on_a_page(error: MarketError) -> Response:
    """Answer a person whom one of Airflow's own pages refuses something of the market's."""
    known = default_exceptions.get(error.status)
    response = known(error.detail).get_response() if known else Response(error.detail, error.status)
    response.headers.update(error.headers)
    return response
