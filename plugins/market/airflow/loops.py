"""Loop triggers: work that is done every second or two, in Airflow's triggerer, and begun anew by its DAG.

A DAG file holds some `LoopTask`s in a `loop_dag`. Each goes straight to the triggerer and ends there, so it
never needs a worker's process; a run lasts some minutes, and then the next one starts.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator
from airflow.triggers.base import BaseTrigger, StartTriggerArgs, TaskSuccessEvent, TriggerEvent

from market.kit import alerts, database
from market.kit.errors import UnavailableError

LASTS_S = 900
_ALERT_AFTER = 10
_RETRY_S = 10


class LoopTrigger(BaseTrigger):
    """Calls a function every `period_s`, in a thread, and ends after `lasts_s`.

    `pass_path` names it, as `market.machines.roster.run_pass`; it takes nothing, and what it returns is not
    used. A pass that fails is logged and the loop goes on, since a service that is away comes back. While
    another process holds `lock`, passes are left out.
    """

    def __init__(self, pass_path: str, period_s: float, lasts_s: float, lock: str) -> None:
        super().__init__()
        self.pass_path, self.period_s, self.lasts_s, self.lock = pass_path, period_s, lasts_s, lock
        self._trouble = ""
        self._failures = 0  # one after the other

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again."""
        kwargs = {
            "pass_path": self.pass_path,
            "period_s": self.period_s,
            "lasts_s": self.lasts_s,
            "lock": self.lock,
        }
        return "market.airflow.loops.LoopTrigger", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Loop until the time is over, then end the task."""
        until = time.monotonic() + self.lasts_s
        # A thread of its own: the event loop's few are shared by all triggers, and connections stay open.
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self.lock)
        try:
            while time.monotonic() < until:
                began = time.monotonic()
                context = contextvars.copy_context()  # for the log of this task
                await asyncio.get_running_loop().run_in_executor(executor, context.run, self.once)
                await asyncio.sleep(max(0.0, began + self.period_s - time.monotonic()))
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
        yield TaskSuccessEvent()

    def once(self) -> bool:
        """Run one pass, if no other process does; tell whether it ran and worked. Raises nothing."""
        try:
            work = _imported(self.pass_path)
            with database.exclusively(self.lock) as alone:
                if alone:
                    work()
        except Exception as error:
            trouble = f"{type(error).__name__}: {error}"
            if trouble != self._trouble:  # a service that is away would fill the log
                self.log.exception("%s failed; the loop goes on", self.pass_path)
            self._trouble = trouble
            self._count(error)
            return False
        if self._trouble:
            self.log.info("%s works again", self.pass_path)
        if self._failures >= _ALERT_AFTER:
            with suppress(Exception), database.transaction() as cursor:
                alerts.clear(cursor, alerts.FAILING_LOOP, self.pass_path)
        self._trouble, self._failures = "", 0
        return alone

    def _count(self, error: Exception) -> None:
        """Count a failure; after some, tell the operator: the loop's work stands still, for everybody."""
        if isinstance(error, UnavailableError):  # of a service, which has a check of its own
            return
        self._failures += 1
        if self._failures != _ALERT_AFTER:
            return
        detail = f"Failed {_ALERT_AFTER} times, one after the other: {self._trouble}"
        with suppress(Exception), database.transaction() as cursor:
            alerts.raise_alert(cursor, alerts.FAILING_LOOP, self.pass_path, detail)


class LoopTask(BaseOperator):
    """The one task of a loop's DAG; the arguments are those of `LoopTrigger`."""

    start_from_trigger = True

    def __init__(
        self, *, pass_path: str, period_s: float, lock: str, lasts_s: float = LASTS_S, **options: Any
    ) -> None:
        super().__init__(retries=100, retry_delay=timedelta(seconds=_RETRY_S), **options)
        path, kwargs = LoopTrigger(pass_path, period_s, lasts_s, lock).serialize()
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=path, next_method="execute_complete", trigger_kwargs=kwargs
        )

    def execute(self, context: Any) -> None:
        """Hand over to the triggerer; only where a task is run by hand."""
        assert self.start_trigger_args is not None
        trigger = LoopTrigger(**(self.start_trigger_args.trigger_kwargs or {}))
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """End: the loop's time is over."""


def loop_dag(dag_id: str, description: str) -> DAG:
    """Return a DAG whose runs follow each other without end."""
    return DAG(
        dag_id=dag_id,
        description=description,
        schedule="@continuous",
        # Without a start date Airflow gives the second run the first one's date, and never makes it.
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        max_active_runs=1,
        catchup=False,
        is_paused_upon_creation=False,
        tags=["market"],
    )


def _imported(path: str) -> Callable[[], object]:
    module, _, name = path.rpartition(".")
    function: Callable[[], object] = getattr(importlib.import_module(module), name)
    return function
