"""The task that builds a job's environment of packages, before the task that submits the job.

It is there only where nobody had asked for the same when the job was submitted. Of tasks that want the same,
one builds; the others wait without a process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from market.cluster.errors import HdfsOverQuota
from market.hadoop.paths import JobFolder
from market.jobs import store
from market.jobs.life import status
from market.jobs.output import build_log
from market.jobs.submission import environment_build, environments
from market.kit.clock import now_ms
from market.kit.errors import ConflictError, MarketError
from market.kit.vocabulary import CANCELLING

_PAUSE_S = 1.0


class MarketEnvironment(BaseOperator):
    """Builds what a job asks for, or waits until another task has."""

    template_fields: Sequence[str] = ()

    def __init__(
        self,
        *,
        job_id: str,
        username: str,
        own_folder: JobFolder,
        requirements: Sequence[str],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.own_folder = own_folder
        self.job_id = job_id
        self.username = username
        self.requirements = list(requirements)

    def execute(self, context: Context) -> None:
        """Build it, unless it is there; where another builds it, wait."""
        self._go_on(context, now_ms())

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Look again, after somebody else has built or failed."""
        self._go_on(context, int(event["since_ms"]))

    def _go_on(self, context: Context, since_ms: int) -> None:
        try:
            if not self._wanted():
                raise AirflowFailException("The job has ended, or is to be stopped.")
            if reason := environments.failure_since(self.requirements, since_ms):
                raise ConflictError(reason)
            with environments.turn(self.requirements) as mine:
                if environments.found(self.requirements) is not None:
                    return
                if mine:
                    self._build()
                    return
        except ConflictError as error:
            status.stop_job(self.job_id, "user_error", error.detail)
            raise AirflowFailException(error.detail) from None
        except HdfsOverQuota:
            words = "The market has no room for more packages now. Nothing was charged; bring a python_env."
            status.stop_job(self.job_id, "pool_failure", words)
            raise AirflowFailException(words) from None
        except environment_build.NoSandboxError as error:
            self.log.error("%s", error.detail)
            words = "The market cannot fetch packages now. Nothing was charged; bring a python_env."
            status.stop_job(self.job_id, "pool_failure", words)
            raise AirflowFailException(words) from None
        except (MarketError, RuntimeError, OSError) as error:
            self._give_up_at_last(context, error)
            raise
        self.defer(
            trigger=EnvironmentTrigger(requirements=self.requirements, since_ms=since_ms),
            method_name="execute_complete",
        )

    def _build(self) -> None:
        lines: list[str] = []

        def report(line: str) -> None:
            self.log.info("%s", line)
            lines.append(line)

        try:
            environment_build.build(self.requirements, report, self._wanted)
        except ConflictError as error:
            report(error.detail)
            if self._wanted():
                environments.failed(self.requirements, error.detail)
            raise
        finally:
            build_log.write(self.own_folder, self.username, lines)

    def _wanted(self) -> bool:
        job = store.find(self.job_id)
        return job is not None and not job.ended and job.status != CANCELLING

    def _give_up_at_last(self, context: Context, error: Exception) -> None:
        """Close the job when no try is left: nobody else would learn that it was never submitted."""
        instance = context["ti"]
        if instance.try_number > instance.max_tries:
            self.log.error("no try is left: %s", error)
            reason = (
                "The market could not fetch this job's packages. Nothing was charged; an administrator sees"
                " why in Airflow."
            )
            status.stop_job(self.job_id, "pool_failure", reason)


class EnvironmentTrigger(BaseTrigger):
    """Ends when an environment is there, or nobody builds it any more."""

    def __init__(self, requirements: Sequence[str], since_ms: int) -> None:
        super().__init__()
        self.requirements = list(requirements)
        self.since_ms = since_ms

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again."""
        told = {"requirements": self.requirements, "since_ms": self.since_ms}
        return "market.airflow.environment.EnvironmentTrigger", told

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the end of the build."""
        while await asyncio.to_thread(environments.is_building, self.requirements):
            await asyncio.sleep(_PAUSE_S)
        yield TriggerEvent({"since_ms": self.since_ms})
