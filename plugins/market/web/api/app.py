"""The REST interface as an application of its own: Airflow mounts it at /market, tests use it bare."""

from __future__ import annotations

from fastapi import FastAPI

from market.web.api import problems
from market.web.api.routes import ROUTERS

PREFIX = "/api/v1"


def create_app() -> FastAPI:
    """Return the application. Its OpenAPI document is made from the marshmallow schemas, not by FastAPI."""
    app = FastAPI(title="DistributedMarket", openapi_url=None, redirect_slashes=False)
    problems.register(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.add_middleware(problems.Shield)
    return app
