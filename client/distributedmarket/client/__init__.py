"""A client of the market's REST interface."""

from distributedmarket.client.errors import (
    BrokenOffError,
    MarketApiError,
    MarketClientError,
    NotRepeatableError,
    NotTrustedError,
    UnreachableError,
)
from distributedmarket.client.market import AGENTS, PEOPLE, MarketClient
from distributedmarket.client.retries import ONCE, Retries
from distributedmarket.client.trust import Trust

__all__ = [
    "AGENTS",
    "ONCE",
    "PEOPLE",
    "BrokenOffError",
    "MarketApiError",
    "MarketClient",
    "MarketClientError",
    "NotRepeatableError",
    "NotTrustedError",
    "Retries",
    "Trust",
    "UnreachableError",
]
