"""The trigger of a job's deferred task: it waits for the end of a run. All in one process share one watch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from market.jobs.life import kill, status, watch

log = logging.getLogger(__name__)

# The time from the beginning of one look to that of the next: five times as long as the look takes, so that
# looking takes a fifth of the time, but no less than the shortest and no more than the longest.
_SHORTEST_S, _LONGEST_S, _TIMES_A_LOOK = 0.4, 2.0, 5


class JobTrigger(BaseTrigger):
    """Ends when a run has ended."""

    def __init__(self, tag: str) -> None:
        super().__init__()
        self.tag = tag

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again."""
        return "market.airflow.trigger.JobTrigger", {"tag": self.tag}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the run's end."""
        await _waiting.end_of(self.tag)
        yield TriggerEvent({"tag": self.tag})

    async def on_kill(self) -> None:
        """Stop the run when an administrator ends its task in Airflow."""
        await asyncio.to_thread(_stop, self.tag)


def _stop(tag: str) -> None:
    status.stop_run(tag, "cancelled", "cancelled by an administrator in Airflow")
    kill.applications(tag)


class _Waiting:
    """The triggers that wait in this process, and the watch, which runs while there are any."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Event] = {}
        self._watch: asyncio.Task[None] | None = None

    async def end_of(self, tag: str) -> None:
        """Return when the run has ended."""
        end = self._ends.setdefault(tag, asyncio.Event())
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._loop())
        try:
            await end.wait()
        finally:
            self._ends.pop(tag, None)

    async def _loop(self) -> None:
        while self._ends:
            began = asyncio.get_running_loop().time()
            try:
                under_way = await asyncio.to_thread(watch.look)
            except Exception:  # the database or YARN is away; it comes back
                log.exception("the watch over the jobs failed; it goes on")
            else:
                for tag, end in self._ends.items():
                    if tag not in under_way:
                        end.set()
            await asyncio.sleep(_pause_s(asyncio.get_running_loop().time() - began))


def _pause_s(took_s: float) -> float:
    """Return how long to wait after a look that took so long: a tenth of a second at least."""
    return max(0.1, min(max(_TIMES_A_LOOK * took_s, _SHORTEST_S), _LONGEST_S) - took_s)


_waiting = _Waiting()
