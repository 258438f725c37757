"""Routes on alerts, for administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request

from market.kit import alerts, whole
from market.kit.errors import NotFoundError
from market.kit.paging import Page
from market.web.api import query, routing, scopes
from market.web.api.caller import AdminCaller
from market.web.schemas.alerts import AlertSchema

router = routing.router()

_MOST = 2**63 - 1
_PAGING = query.Paging("at")
_STATE = query.Choice("state", "those that are open, or all", alerts.STATES)


@router.get(
    "/alerts",
    tags=["alerts"],
    openapi_extra=routing.described(
        gives=AlertSchema,
        plural="alerts",
        refuses=(403,),
        parameters=(*_PAGING.parameters, _STATE),
        scope=scopes.LOGIN,
    ),
)
def list_alerts(request: Request, admin: AdminCaller, page: Annotated[Page, _PAGING.page]) -> dict[str, Any]:
    """List alerts, those that were raised last first; for administrators."""
    state = _STATE.read(request)
    return routing.listed("alerts", AlertSchema, alerts.list_alerts(page, state))


@router.post(
    "/alerts/{alert_id}/acknowledge",
    tags=["alerts"],
    openapi_extra=routing.described(gives=AlertSchema, refuses=(403, 404), scope=scopes.LOGIN),
)
def acknowledge_alert(admin: AdminCaller, alert_id: str) -> dict[str, Any]:
    """Have an alert count as seen: it is open no more unless it clears and is raised again."""
    number = whole.parsed(alert_id, _MOST)
    if number is None:
        raise NotFoundError("There is no such alert.")
    return routing.dumped(AlertSchema, alerts.acknowledge(number, admin.username))
