"""Routes on settlements and on the ledger as a whole."""

from __future__ import annotations

from typing import Annotated, Any

from market.credits.settlement import intervals
from market.kit import database
from market.kit.errors import NotFoundError
from market.kit.paging import Page
from market.web.api import routing
from market.web.api.caller import AdminCaller, Caller
from market.web.schemas.money import SettlementDetailSchema, SettlementSchema, TrialBalanceSchema

router = routing.router()

_MOST = 2**63 - 1


@router.get(
    "/settlements",
    tags=["credits"],
    openapi_extra=routing.described(gives=SettlementSchema, plural="settlements", refuses=(422,)),
)
def list_settlements(
    member: Caller, page: Annotated[Page, routing.page(*intervals.ORDER_BY)]
) -> dict[str, Any]:
    """List the settled intervals."""
    return routing.listed("settlements", SettlementSchema, intervals.list_settlements(page))


@router.get(
    "/settlements/{interval_id}",
    tags=["credits"],
    openapi_extra=routing.described(gives=SettlementDetailSchema, refuses=(404,)),
)
def settlement(member: Caller, interval_id: str) -> dict[str, Any]:
    """Return a settled interval, with what its rate follows from."""
    if not (interval_id.isascii() and interval_id.isdigit() and int(interval_id) <= _MOST):
        raise NotFoundError("There is no such settlement.")
    return routing.dumped(SettlementDetailSchema, intervals.settlement(int(interval_id)))


@router.get(
    "/ledger/trial-balance",
    tags=["credits"],
    openapi_extra=routing.described(gives=TrialBalanceSchema, refuses=(403,)),
)
def trial_balance(admin: AdminCaller) -> dict[str, Any]:
    """Return the balance of every account; for administrators."""
    with database.transaction() as cursor:
        return routing.dumped(TrialBalanceSchema, intervals.trial_balance(cursor))
