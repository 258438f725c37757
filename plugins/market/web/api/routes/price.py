"""The route on the rate."""

from __future__ import annotations

from typing import Annotated, Any

from market.credits import price as prices
from market.kit.paging import Page
from market.web.api import routing
from market.web.api.caller import Caller
from market.web.schemas.money import PriceSchema

router = routing.router()

_PAGE = {
    "limit": "ticks of the history, 1 to 200",
    "offset": "ticks to skip",
    "order_by": "at, rate, -at, -rate",
}


@router.get(
    "/price", tags=["market"], openapi_extra=routing.described(gives=PriceSchema, refuses=(422,), query=_PAGE)
)
def price(member: Caller, page: Annotated[Page, routing.page(*prices.ORDER_BY)]) -> dict[str, Any]:
    """Return the rate now, what a core and a GiB cost for an hour, and the rate's history."""
    history = prices.history(page)
    return routing.dumped(PriceSchema, {**prices.current(), "history": history.rows, "total": history.total})
