"""The route on the rate."""

from __future__ import annotations

from typing import Annotated, Any

from market.credits import price as prices
from market.kit.paging import Page
from market.web.api import query, routing
from market.web.api.caller import Caller
from market.web.schemas.money import PriceSchema

router = routing.router()

_PAGING = query.Paging(*prices.ORDER_BY)


@router.get(
    "/price",
    tags=["market"],
    openapi_extra=routing.described(gives=PriceSchema, parameters=_PAGING.parameters),
)
def price(member: Caller, page: Annotated[Page, _PAGING.page]) -> dict[str, Any]:
    """Return the rate now, what a core and a GiB cost for an hour, and the rate's history."""
    history = prices.history(page)
    return routing.dumped(PriceSchema, {**prices.current(), "history": history.rows, "total": history.total})
