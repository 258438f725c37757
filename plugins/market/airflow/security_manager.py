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
from flask import Request, current_app

from market.airflow import logins, tokens
from market.kit.errors import NotLoggedInError
from market.people.registration import complete

if TYPE_CHECKING:
    from airflow.providers.fab.auth_manager.models import User
    from flask_login import LoginManager

log = logging.getLogger(__name__)

_PLUGIN_COOKIE = "market_session"


class MarketSecurityManager(FabAirflowSecurityManagerOverride):
    """Knows people by Airflow's token too, and gives a login its market account."""

    def __init__(self, appbuilder: Any) -> None:
        if appbuilder.enable_plugins:
            current_app.config["SESSION_COOKIE_NAME"] = _PLUGIN_COOKIE
        super().__init__(appbuilder)

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
