"""Flask-AppBuilder's security manager: users, passwords, roles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from market.airflow.security_manager import MarketSecurityManager


@contextmanager
def security_manager() -> Iterator[MarketSecurityManager]:
    """Yield the security manager of this api-server, inside the Flask application that it needs."""
    from airflow.api_fastapi.app import get_auth_manager
    from flask import has_app_context

    from market.airflow.auth_manager import MarketAuthManager

    manager = cast("MarketAuthManager", get_auth_manager())
    if has_app_context():  # a page asks
        yield cast("MarketSecurityManager", manager.security_manager)
        return
    if manager.flask_app is None:
        raise RuntimeError("the auth manager's Flask application was not made: no api-server runs here")
    with manager.flask_app.app_context():
        yield cast("MarketSecurityManager", manager.security_manager)
