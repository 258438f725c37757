"""One page of a list, as a caller asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """Which rows of a list: `order_by` is a field that the list knows."""

    limit: int = 50
    offset: int = 0
    order_by: str = ""
    descending: bool = True


@dataclass(frozen=True)
class Listing(Generic[T]):
    """The rows of a page, and how many there are in all."""

    rows: Sequence[T]
    total: int
