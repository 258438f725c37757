"""The triggers of a job's deferred task: for the end of a run, and for a machine of its type.

All in one process share one watch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from market.airflow.rest import AirflowRest
from market.jobs.life import kill, status, watch
from market.kit.errors import MarketError
from market.machines import queries

log = logging.getLogger(__name__)

# The time from the beginning of one look to that of the next: five times as long as the look takes, so that
# looking takes a fifth of the time, but no less than the shortest and no more than the longest.
_SHORTEST_S, _LONGEST_S, _TIMES_A_LOOK = 0.4, 2.0, 5
_DEFERRED = "deferred"
_ASK_S = 20.0  # Airflow gives `on_kill` 30 s


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
        """Stop the run when an administrator ends its task in Airflow.

        Airflow calls this as well where another triggerer has taken this trigger over, as after this process
        was frozen for a while. Then the task still waits, and nothing of it is to end.
        """
        until = time.monotonic() + _ASK_S
        while (waits := await asyncio.to_thread(self._task_waits)) is None:
            if time.monotonic() > until:
                log.warning("run %s goes on: Airflow does not say what became of its task", self.tag)
                return
            await asyncio.sleep(1)
        if not waits:
            await asyncio.to_thread(_stop, self.tag)

    def _task_waits(self) -> bool | None:
        """Tell whether the task still waits for a trigger; None while Airflow does not say so."""
        task = self.task_instance
        assert task is not None
        try:
            with AirflowRest() as airflow:
                return airflow.state(task.dag_id, task.run_id, task.task_id, task.map_index) == _DEFERRED
        except MarketError:
            return None


class OfferTrigger(JobTrigger):
    """Ends when a machine of a type takes work, or the run that waits for it has ended."""

    def __init__(self, tag: str, machine_type: str) -> None:
        super().__init__(tag)
        self.machine_type = machine_type

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again."""
        return "market.airflow.trigger.OfferTrigger", {"tag": self.tag, "machine_type": self.machine_type}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the type."""
        await _waiting.end_of(self.tag, or_offer_of=self.machine_type)
        yield TriggerEvent({"tag": self.tag})


def _stop(tag: str) -> None:
    status.stop_run(tag, "cancelled", "cancelled by an administrator in Airflow")
    kill.applications(tag)


class _Waiting:
    """The triggers that wait in this process, and the watch, which runs while there are any."""

    def __init__(self) -> None:
        # Each trigger has an event of its own: two may wait for one run, as after a task was begun again.
        self._ends: dict[str, set[asyncio.Event]] = {}
        self._types: dict[asyncio.Event, str] = {}  # of those that wait for a machine, not for the end
        self._watch: asyncio.Task[None] | None = None

    async def end_of(self, tag: str, or_offer_of: str | None = None) -> None:
        """Return when the run has ended, or a machine of the type `or_offer_of` takes work."""
        end = asyncio.Event()
        if or_offer_of is not None:
            self._types[end] = or_offer_of
        waiting = self._ends.setdefault(tag, set())
        waiting.add(end)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._loop())
        try:
            await end.wait()
        finally:
            waiting.discard(end)
            self._types.pop(end, None)
            if not waiting and self._ends.get(tag) is waiting:
                del self._ends[tag]

    async def _loop(self) -> None:
        while self._ends:
            began = asyncio.get_running_loop().time()
            asked = {
                tag: list(ends) for tag, ends in self._ends.items()
            }  # who comes later is of the next look
            types = dict(self._types)
            try:
                offered = await asyncio.to_thread(queries.offered_types) if types else set()
                under_way = await asyncio.to_thread(watch.look)
            except Exception:  # the database or YARN is away; it comes back
                log.exception("the watch over the jobs failed; it goes on")
            else:
                for tag, end in [(tag, end) for tag, ends in asked.items() for end in ends]:
                    if tag not in under_way or types.get(end) in offered:
                        end.set()
            await asyncio.sleep(_pause_s(asyncio.get_running_loop().time() - began))


def _pause_s(took_s: float) -> float:
    """Return how long to wait after a look that took so long: a tenth of a second at least."""
    return max(0.1, min(max(_TIMES_A_LOOK * took_s, _SHORTEST_S), _LONGEST_S) - took_s)


_waiting = _Waiting()
