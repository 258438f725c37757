"""What a job gets where its owner says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from distributedmarket.client import MarketApiError

if TYPE_CHECKING:
    from distributedmarket.sdk.market import Market

_CORES = 1


def with_defaults(market: Market, job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a job with a number of cores and a machine type."""
    body = {"core_num": _CORES, **job}
    if "machine_type" not in body:
        body["machine_type"] = _cheapest(market)
    return body


def _cheapest(market: Market) -> str:
    try:
        return cheapest_type(market.capacity())
    except MarketApiError:  # YARN is away, and the tariff is known all the same
        types = market.routes.price(limit=1)["types"]
        return cheapest_type({name: {"machines": 0, "price": types[name]["core_hour"]} for name in types})


def cheapest_type(capacity: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the cheapest type that somebody lends now; where nobody lends anything, of all."""
    lent = {name: line for name, line in capacity.items() if line["machines"]} or capacity
    return min(lent, key=lambda name: (Decimal(lent[name]["price"]), name))
