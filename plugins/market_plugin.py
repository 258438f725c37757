"""What Airflow's plugin loader runs: REST routes, pages, menu entries and what looks at every request.

Every Airflow process loads this file and reads few of these attributes, most of them only the api-server: so
each imports what it needs when it is read.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin


class MarketPlugin(AirflowPlugin):
    """The market inside Airflow."""

    name = "market"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The REST interfaces: of agents and of people; an address goes to the first that it begins with."""
        from market.kit import database
        from market.kit.patience import WEB
        from market.web.api.app import create_agent_app, create_app

        database.limit_process(WEB)  # this process answers people; nothing else reads this attribute
        return [
            {"app": create_agent_app(), "url_prefix": "/market/agent", "name": "DistributedMarket's agents"},
            {"app": create_app(), "url_prefix": "/market", "name": "DistributedMarket"},
        ]

    @cached_property
    def fastapi_root_middlewares(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Who calls, and what bounds every request; the last is outermost."""
        from market.web.api.bodies import Bodies
        from market.web.api.calling import Calling
        from market.web.api.tls_only import TlsOnly
        from market.web.api.unrouted import PlainPaths
        from market.web.pages.home import Home

        return [
            {"middleware": Home, "name": "Where the base address leads"},
            {"middleware": Calling, "name": "Addresses of callers"},
            {"middleware": PlainPaths, "kwargs": {"within": "/market"}, "name": "Addresses of the market"},
            {"middleware": Bodies, "name": "Bounds on bodies"},
            {"middleware": TlsOnly, "name": "Browsers come back by TLS only"},
        ]

    @cached_property
    def appbuilder_views(self) -> list[Any]:  # type: ignore[override]
        """The pages."""
        from market.web.pages.views import APPBUILDER_VIEWS

        return APPBUILDER_VIEWS

    @cached_property
    def flask_blueprints(self) -> list[Any]:  # type: ignore[override]
        """Templates and static files of the pages."""
        from market.web.pages.views import FLASK_BLUEPRINTS

        return FLASK_BLUEPRINTS

    @cached_property
    def listeners(self) -> list[Any]:  # type: ignore[override]
        """What the scheduler tells of runs."""
        from market.airflow import listener

        return [listener]

    @cached_property
    def external_views(self) -> list[Any]:  # type: ignore[override]
        """The pages' entries in Airflow's menu."""
        from market.airflow.menu import EXTERNAL_VIEWS

        return EXTERNAL_VIEWS
