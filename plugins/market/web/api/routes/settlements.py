"""Routes on settlements, on the ledger as a whole, and on what the treasury gives."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request

from market.administration import treasury
from market.credits.settlement import intervals
from market.kit import database, whole
from market.kit.errors import NotFoundError
from market.kit.paging import Page
from market.web.api import query, routing, scopes
from market.web.api.caller import AdminCaller, Caller
from market.web.schemas.administration import TreasurySchema
from market.web.schemas.money import SettlementDetailSchema, SettlementSchema, TrialBalanceSchema

router = routing.router()

_MOST = 2**63 - 1
_DAYS = query.Whole("days", "up to today, UTC", 1, treasury.MOST_DAYS, default=30)
_PAGING = query.Paging(*intervals.ORDER_BY)


@router.get(
    "/settlements",
    tags=["credits"],
    openapi_extra=routing.described(
        gives=SettlementSchema, plural="settlements", parameters=_PAGING.parameters
    ),
)
def list_settlements(member: Caller, page: Annotated[Page, _PAGING.page]) -> dict[str, Any]:
    """List the settled intervals."""
    return routing.listed("settlements", SettlementSchema, intervals.list_settlements(page))


@router.get(
    "/settlements/{interval_id}",
    tags=["credits"],
    openapi_extra=routing.described(gives=SettlementDetailSchema, refuses=(404,)),
)
def settlement(member: Caller, interval_id: str) -> dict[str, Any]:
    """Return a settled interval, with what its rate follows from."""
    number = whole.parsed(interval_id, _MOST)
    if number is None:
        raise NotFoundError("There is no such settlement.")
    return routing.dumped(SettlementDetailSchema, intervals.settlement(number))


@router.get(
    "/ledger/trial-balance",
    tags=["credits"],
    openapi_extra=routing.described(gives=TrialBalanceSchema, refuses=(403,), scope=scopes.LOGIN),
)
def trial_balance(admin: AdminCaller) -> dict[str, Any]:
    """Return the balance of every account; for administrators."""
    with database.transaction() as cursor:
        return routing.dumped(TrialBalanceSchema, intervals.trial_balance(cursor))


@router.get(
    "/treasury",
    tags=["credits"],
    openapi_extra=routing.described(
        gives=TreasurySchema, refuses=(403,), parameters=(_DAYS,), scope=scopes.LOGIN
    ),
)
def get_treasury(request: Request, admin: AdminCaller) -> dict[str, Any]:
    """Return what the treasury gave and got, by day and what for; for administrators."""
    days = treasury.by_day(admin, _DAYS.read(request) or 1)
    shown = {"balance": treasury.balance(admin), "days": [day.to_wire() for day in days]}
    return routing.dumped(TreasurySchema, shown)
