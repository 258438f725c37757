"""The threads that uploads keep for as long as they last: where all are taken, slow ones give way.

Each member has a share of the uploads (`shares.py`), but some twenty members with slow ones would have all
threads. To be slow is no reason to be refused: only when somebody waits for a thread one goes, of whoever has
most of them, the newest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from market.kit.errors import OverLimitError


@dataclass(eq=False)
class Held:
    """A thread that an upload has; `waits` is its wait for the next bytes."""

    member: str
    since_s: float
    bytes: int = 0
    gives_way: bool = False
    waits: anyio.CancelScope | None = None

    def check(self) -> None:
        """Raise OverLimitError where another upload needs the thread."""
        if self.gives_way:
            raise OverLimitError(
                "The market takes no more uploads now, and this one was slow. Send it again later.",
                retry_after_s=60,
            )


class UploadThreads:
    """So many threads; slow is what has brought less than `slow_bytes_s` a second for `after_s` and more."""

    def __init__(
        self, number: int, slow_bytes_s: int = 64 << 10, after_s: float = 10.0, look_s: float = 1.0
    ) -> None:
        self._limiter = anyio.CapacityLimiter(number)
        self._slow_bytes_s, self._after_s, self._look_s = slow_bytes_s, after_s, look_s
        self._held: list[Held] = []
        self._waiting = 0

    @asynccontextmanager
    async def one(self, member: str) -> AsyncIterator[Held]:
        """Hold one for as long as the context lasts; wait for it, if need be."""
        held = Held(member, 0.0)
        await self._take(held)
        held.since_s = anyio.current_time()
        self._held.append(held)
        try:
            yield held
        finally:
            self._held.remove(held)
            self._limiter.release_on_behalf_of(held)

    async def _take(self, held: Held) -> None:
        self._waiting += 1
        try:
            while True:
                if not self._limiter.available_tokens:
                    self._make_way()
                with anyio.move_on_after(self._look_s):
                    await self._limiter.acquire_on_behalf_of(held)
                    return
        finally:
            self._waiting -= 1

    def _make_way(self) -> None:
        """Have one slow upload more give way, unless as many do already as wait."""
        if sum(held.gives_way for held in self._held) >= self._waiting:
            return
        now_s = anyio.current_time()
        slow = [held for held in self._held if not held.gives_way and self._is_slow(held, now_s)]
        if not slow:
            return
        of = Counter(held.member for held in slow)
        held = max(slow, key=lambda held: (of[held.member], held.since_s))
        held.gives_way = True
        if held.waits is not None:
            held.waits.cancel()

    def _is_slow(self, held: Held, now_s: float) -> bool:
        held_s = now_s - held.since_s
        return held_s >= self._after_s and held.bytes < self._slow_bytes_s * held_s
