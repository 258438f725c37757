"""What the plugin registers with Airflow: views, templates and static files, menu entries."""

from __future__ import annotations

from market.pages.base import blueprint
from market.pages.credits_view import CreditsView
from market.pages.jobs_view import JobsView
from market.pages.machines_view import MachinesView
from market.pages.market_view import MarketView
from market.pages.menu import EXTERNAL_VIEWS, PERMISSIONS
from market.pages.operations_view import OperationsView
from market.pages.register_view import RegisterView

# Without names: a name would add "Legacy FAB views" to Airflow's menu, beside the entries of EXTERNAL_VIEWS.
APPBUILDER_VIEWS: list[dict[str, object]] = [
    {"view": view()}
    for view in (MarketView, JobsView, MachinesView, CreditsView, OperationsView, RegisterView)
]
FLASK_BLUEPRINTS = [blueprint]

__all__ = ["APPBUILDER_VIEWS", "EXTERNAL_VIEWS", "FLASK_BLUEPRINTS", "PERMISSIONS"]
