"""Routes for machines: whether the market works, and how its interface looks."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from market.kit.errors import UnavailableError
from market.web.api import health as parts
from market.web.api import openapi, routing
from market.web.schemas.common import HealthSchema

router = routing.router()


@router.get("/health", tags=["market"], openapi_extra=routing.described(gives=HealthSchema, public=True))
def health() -> dict[str, Any]:
    """Tell whether the market works."""
    states = parts.look()
    if states["database"] != "healthy":
        raise UnavailableError("The database does not answer.")
    status = "healthy" if set(states.values()) == {"healthy"} else "degraded"
    return routing.dumped(HealthSchema, {"status": status, "parts": states})


@router.get(
    "/openapi.json", tags=["market"], openapi_extra=routing.described(gives="application/json", public=True)
)
def openapi_document(request: Request) -> dict[str, Any]:
    """Return this document."""
    return openapi.document(request.app)
