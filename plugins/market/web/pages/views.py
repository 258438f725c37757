"""What the plugin registers with Airflow: views, templates and static files, menu entries."""

from __future__ import annotations

from market.airflow.menu import EXTERNAL_VIEWS, PERMISSIONS
from market.web.pages.account_view import AccountView
from market.web.pages.administration_view import AdministrationView
from market.web.pages.base import blueprint
from market.web.pages.codes_view import CodesView
from market.web.pages.credits_view import CreditsView
from market.web.pages.files_view import FilesView
from market.web.pages.jobs_view import JobsView
from market.web.pages.machines_view import MachinesView
from market.web.pages.market_view import MarketView
from market.web.pages.notifications_view import NotificationsView
from market.web.pages.operations_view import OperationsView
from market.web.pages.projects_view import ProjectsView
from market.web.pages.register_view import RegisterView
from market.web.pages.tokens_view import TokensView
from market.web.pages.welcome_view import WelcomeView

# Without names: a name would add "Legacy FAB views" to Airflow's menu, beside the entries of EXTERNAL_VIEWS.
APPBUILDER_VIEWS: list[dict[str, object]] = [
    {"view": view()}
    for view in (
        MarketView,
        JobsView,
        FilesView,
        MachinesView,
        CreditsView,
        OperationsView,
        AdministrationView,
        RegisterView,
        CodesView,
        AccountView,
        ProjectsView,
        TokensView,
        NotificationsView,
        WelcomeView,
    )
]
FLASK_BLUEPRINTS = [blueprint]

__all__ = ["APPBUILDER_VIEWS", "EXTERNAL_VIEWS", "FLASK_BLUEPRINTS", "PERMISSIONS"]
