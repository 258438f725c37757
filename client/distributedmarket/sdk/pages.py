"""Lists that come in pages, as one iterator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

LONGEST = 200  # rows that the market gives at a time


def rows(ask: Callable[[int, int], Mapping[str, Any]], plural: str, most: int | None = None) -> Iterator[Any]:
    """Yield the rows of a list, at most `most`; `ask(limit, offset)` returns a page.

    A row that appears or goes while the list is read may be seen twice, or not: pages are counted, and the
    list moves below them.
    """
    offset = 0
    while most is None or offset < most:
        limit = LONGEST if most is None else min(LONGEST, most - offset)
        page = ask(limit, offset)
        found = page[plural]
        yield from found
        offset += len(found)
        if len(found) < limit or offset >= page["total"]:
            return
