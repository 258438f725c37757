"""`python -m market.airflow.bootstrap`: the market's role and its administrator; again: brings them in line.

Runs after `airflow db migrate`, in Airflow's environment.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.api_fastapi.app import get_auth_manager, init_auth_manager
from airflow.providers.fab.www.app import create_app

from market.airflow import logins
from market.airflow.menu import PERMISSIONS
from market.kit import settings
from market.people.logins import ADMIN, ROLE
from market.people.registration import complete

if TYPE_CHECKING:
    from airflow.providers.fab.auth_manager.models import Role

    from market.airflow.security_manager import MarketSecurityManager

log = logging.getLogger(__name__)

# What Airflow's own pages ask of everybody: the page itself, the menu of plugins, one's profile and password.
_AIRFLOW = [
    ("can_read", "Website"),
    ("can_read", "Plugins"),
    ("menu_access", "DAGs"),
    ("can_read", "My Profile"),
    ("can_read", "My Password"),
    ("can_edit", "My Password"),
]


def run() -> None:
    """Make the role of market users, the administrator of the settings, and his market account."""
    init_auth_manager()
    with create_app(enable_plugins=False).app_context():
        manager: MarketSecurityManager = get_auth_manager().security_manager  # type: ignore[attr-defined]
        _set_role(manager)
        _make_admin(manager)


def _set_role(manager: MarketSecurityManager) -> None:
    """Give the role exactly these permissions: an older version's surplus is taken away."""
    role: Role = manager.add_role(ROLE)
    wanted = [manager.create_permission(action, resource) for action, resource in [*_AIRFLOW, *PERMISSIONS]]
    for surplus in [permission for permission in role.permissions if permission not in wanted]:
        manager.remove_permission_from_role(role, surplus)
    for permission in wanted:
        manager.add_permission_to_role(role, permission)


def _make_admin(manager: MarketSecurityManager) -> None:
    loaded = settings.load()
    name = loaded.service.admin
    user = manager.find_user(username=name)
    if user is None:
        role = manager.find_role(ADMIN)
        password = loaded.secret("admin_password")
        user = manager.add_user(name, name, "", f"{name}@localhost", role, password)
    complete(logins.login_of(user))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    run()
