"""Client and agent of DistributedMarket: `from distributedmarket import Market`.

Imports nothing by itself: each part is loaded when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributedmarket.sdk import Job, Market

__all__ = ["VERSION", "Job", "Market"]

VERSION = "0.2.0"


def __getattr__(name: str) -> object:
    """Load the interface for programs when it is asked for: a machine runs without it."""
    if name not in ("Job", "Market"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from distributedmarket import sdk  # noqa: PLC0415 - see the head of this file

    found: object = getattr(sdk, name)
    return found
