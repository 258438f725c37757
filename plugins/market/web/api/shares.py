"""A share for each member of what the api-server can do at a time, so that nobody takes all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from market.kit.errors import BusyError, OverLimitError


class Shares:
    """Places of an event loop: `each` at a time for one member, `everybody` for all of them together.

    Who has his share waits for it, at most `waiting` requests of his and `patience_s` seconds.
    """

    def __init__(self, each: int, everybody: int, waiting: int, patience_s: float) -> None:
        self._each, self._everybody = each, everybody
        self._waiting, self._patience_s = waiting, patience_s
        self._members: dict[str, _Member] = {}
        self._taken = 0

    @asynccontextmanager
    async def one(self, member: str) -> AsyncIterator[None]:
        """Hold one place for as long as the context lasts. Raises OverLimitError, BusyError."""
        share = self._members.setdefault(member, _Member(anyio.Semaphore(self._each)))
        if share.requests >= self._each + self._waiting:
            raise self._too_many()
        share.requests += 1
        try:
            await self._wait(share)
            try:
                yield
            finally:
                self._taken -= 1
                share.places.release()
        finally:
            share.requests -= 1
            if not share.requests:
                del self._members[member]

    async def _wait(self, share: _Member) -> None:
        try:
            with anyio.fail_after(self._patience_s):
                await share.places.acquire()
        except TimeoutError:
            raise self._too_many() from None
        if self._taken >= self._everybody:
            share.places.release()
            raise BusyError("Too many people send files now. Send this one again in a moment.")
        self._taken += 1

    def _too_many(self) -> OverLimitError:
        return OverLimitError(
            f"You send {self._each} files at a time and may not send more. Send it when one is through.",
            retry_after_s=5,
        )


@dataclass
class _Member:
    """Who holds or waits for places."""

    places: anyio.Semaphore
    requests: int = field(default=0)
