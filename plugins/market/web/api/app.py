"""The REST interfaces as applications of their own: Airflow mounts them, tests use them bare.

That of people lies at /market/api/v1, that of agents at /market/agent/v1: they change at different times.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI

from market.web.api import problems, unrouted
from market.web.api.metrics.door import MetricsDoor
from market.web.api.routes import AGENT_ROUTERS, ROUTERS

PREFIX = "/api/v1"
AGENT_PREFIX = "/v1"


def create_app() -> FastAPI:
    """Return the application for people, to be mounted at /market."""
    return _app("DistributedMarket", ROUTERS, PREFIX, MetricsDoor)


def create_agent_app() -> FastAPI:
    """Return the application for the agents of lent machines, to be mounted at /market/agent."""
    return _app("DistributedMarket's agents", AGENT_ROUTERS, AGENT_PREFIX)


def _app(title: str, routers: Iterable[APIRouter], prefix: str, *doors: type[MetricsDoor]) -> FastAPI:
    """Return an application whose OpenAPI document is made from the marshmallow schemas, not by FastAPI.

    `doors` are middlewares with addresses of their own.
    """
    app = FastAPI(title=title, openapi_url=None, redirect_slashes=False)
    problems.register(app)
    unrouted.register(app)
    for router in routers:
        app.include_router(router, prefix=prefix)
    app.add_middleware(unrouted.PlainPaths)
    for door in doors:
        app.add_middleware(door)
    app.add_middleware(problems.Shield)
    return app
