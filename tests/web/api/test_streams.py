"""Work that somebody waits for, and that ends when he has gone."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio
import pytest

from market.kit.errors import NotFoundError
from market.web.api import streams


class Request:
    """A request whose client leaves after a time."""

    def __init__(self, stays_s: float) -> None:
        self._until = time.monotonic() + stays_s

    async def is_disconnected(self) -> bool:
        return time.monotonic() > self._until


def listed(wanted: Callable[[], bool]) -> int:
    """Ask for a folder each hundredth of a second; return how many were asked for."""
    for asked in range(300):
        if not wanted():
            return asked
        time.sleep(0.01)
    return 300


def test_it_ends_when_the_client_has_gone() -> None:
    asked = anyio.run(streams.while_wanted, Request(0.1), listed)
    assert asked < 200, "a list of thousands of folders goes on for nobody"


def test_else_it_ends_by_itself() -> None:
    assert anyio.run(streams.while_wanted, Request(60), lambda wanted: wanted()) is True


def test_what_it_raises_is_raised() -> None:
    def missing(_: Callable[[], bool]) -> None:
        raise NotFoundError("There is none.")

    with pytest.raises(NotFoundError):
        anyio.run(streams.while_wanted, Request(60), missing)
