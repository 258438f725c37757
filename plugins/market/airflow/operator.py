"""The task of a job or of a sweep's point: submit it to YARN at most once, then wait without a process.

`_hook` and its `_conf` and `_yarn_application_id` are private to the provider: its version is pinned, and
tests/airflow/test_operator.py would notice their going.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from market.airflow.trigger import JobTrigger
from market.cluster.clients import hdfs, resource_manager
from market.cluster.resourcemanager import App
from market.hadoop import paths
from market.jobs import points, store
from market.jobs.life import kill, status
from market.jobs.points import Point
from market.jobs.spec import JobSpec
from market.jobs.store import Job
from market.jobs.submission import spark_submit, submission_lock
from market.jobs.submission.warm_submitter import RUNS_AGAIN
from market.kit import settings
from market.kit.errors import MarketError
from market.kit.vocabulary import ENDED
from market.machines.store import is_offered

_CONNECTION = "market_yarn"
_MIB = 1 << 20
_NEVER_SUBMITTED = status.End("cancelled", "cancelled", "stopped before it was submitted")


class MarketSparkSubmit(SparkSubmitOperator):
    """SparkSubmitOperator for one run of a job of the market: the job itself, or a point of a sweep."""

    # Users wrote parts of the arguments; nothing is rendered as a template.
    template_fields: Sequence[str] = ()

    def __init__(
        self, *, job_id: str, username: str, spec: JobSpec, point: int | None = None, **options: Any
    ) -> None:
        super().__init__(
            conn_id=_CONNECTION,
            durable=True,
            yarn_track_via_rm_api=True,
            **spark_submit.arguments(job_id, username, spec, point),
            **options,
        )
        self.job_id = job_id
        self.point = point
        self.tag = points.tag_of(job_id, point)
        self.username = username
        self.machine_type = spec.machine_type
        self.program_files = spark_submit.files(job_id, username, spec, point)

    def execute(self, context: Context) -> None:
        """Submit the job, or find what an earlier try submitted, and defer until it has ended."""
        try:
            if not status.claim(self.tag):
                self._stopped(context)
            super().execute(context)
        except AirflowFailException:
            raise
        except (AirflowException, MarketError, RuntimeError, OSError) as error:
            self._give_up_at_last(context, error)
            raise

    def submit_job(self, context: Context) -> str:
        """Return the application with the run's tag; submit it if there is none.

        The lock is inherited by spark-submit: one that outlived its task keeps a later try waiting, which
        finds the tag then.
        """
        with submission_lock.taken(self.tag) as lock:
            app = self._tagged() or self._submit(lock)
        if not status.submitted(self.tag, app.application_id):
            kill.applications(self.tag)
        return app.application_id

    def _submit(self, lock: int) -> App:
        if not status.claim(self.tag):
            status.end(self.tag, _NEVER_SUBMITTED)
            self._finish()
        self._make_folder()
        assert self._hook is not None
        if not is_offered(self.machine_type):
            # A driver in the pool would run, and cost, while nothing can work for it: it waits for its type.
            self._hook._conf[spark_submit.DRIVER_LABEL] = self.machine_type
        failure: AirflowException | None = None
        try:
            self._hook.submit(self.application, pass_fds=(lock,), env=self._environment())
        except AirflowException as error:  # also where the application was killed while it was submitted
            failure = error
        app = self._tagged()  # what counts is what YARN has, not what was printed
        if app is None:
            raise failure or RuntimeError("spark-submit ended, and YARN has no application of this job")
        return app

    def _environment(self) -> dict[str, str]:
        again = self.point is not None and points.ended_applications(self.tag)
        return _environment() | ({RUNS_AGAIN: "1"} if again else {})

    def _stopped(self, context: Context) -> None:
        """End a job that is not to run: at once where YARN knows nothing of it, else with its application."""
        with submission_lock.taken(self.tag):
            app = self._tagged()
            if app is None:
                status.end(self.tag, _NEVER_SUBMITTED)
            else:  # the try that submitted it may have ended before it stored that
                status.submitted(self.tag, app.application_id)
        if self._run().status not in ENDED:
            kill.applications(self.tag)
            self.poll_until_complete(None, context)
        self._finish()

    def _tagged(self) -> App | None:
        """Return this run's application; those of a point's earlier runs have its tag as well."""
        found = sorted(resource_manager().apps(tags=[self.tag]), key=lambda app: app.started_ms)
        if self.point is not None:
            earlier = points.ended_applications(self.tag)
            found = [app for app in found if app.application_id not in earlier]
        return found[-1] if found else None

    def _make_folder(self) -> None:
        """Make the job's folder for its owner; what the program writes into it has the home's limits.

        The output folder of a point's earlier run goes: it is not there when a program starts.
        """
        files, limits, folder = hdfs(), settings.load().files, paths.job_folder(self.job_id)
        files.mkdirs(folder, permission="700")
        files.set_owner(folder, self.username, self.username)
        files.set_quota(folder, limits.home_quota_names, limits.home_quota_mib * _MIB)
        own = files.as_user(self.username)
        if self.point is not None:
            own.mkdirs(paths.output(self.job_id), permission="700")
            own.delete(paths.output(self.job_id, self.point), recursive=True)  # of an earlier run
        for source, place in self.program_files:
            if place != source:
                own.mkdirs(place.rsplit("/", 1)[0], permission="700")
                own.create(place, own.open(source))

    def get_job_status(self, external_id: Any, context: Context) -> str:
        """Return the state of what an earlier try submitted: always one that is waited for.

        So a try never submits again; how the job ended is said by `execute_complete`. But a point that runs
        again is not to wait for the run that has failed.
        """
        again = self.point is not None and external_id in points.ended_applications(self.tag)
        return "FAILED" if again else "RUNNING"

    def poll_until_complete(self, external_id: Any, context: Context) -> None:
        """Give the process back until the job has ended."""
        self.defer(trigger=JobTrigger(tag=self.tag), method_name="execute_complete")

    def execute_complete(self, context: Context, event: Any = None) -> None:
        """End as the job has ended."""
        self._finish()

    def _finish(self) -> None:
        run = self._run()
        if run.status == "waiting":
            raise AirflowException(f"{run.reason} Point {self.point} runs again.")
        if run.status != "succeeded":
            raise AirflowFailException(f"{run.status}: {run.reason}")

    def _run(self) -> Job | Point:
        found: Job | Point | None
        if self.point is None:
            found = store.find(self.job_id)
        else:
            found = next((one for one in points.of_job(self.job_id) if one.point == self.point), None)
        if found is None:
            raise AirflowFailException("The market does not know this job.")
        return found

    def _give_up_at_last(self, context: Context, error: Exception) -> None:
        """Close the job when no try is left: nobody else would learn that it was never submitted."""
        instance = context["ti"]
        if instance.try_number <= instance.max_tries:
            return
        self.log.error("no try is left: %s", error)
        said = (
            "The market could not submit this job. Nothing was charged; an administrator sees why in Airflow."
        )
        status.end(self.tag, status.End("failed", "pool_failure", said))

    def on_kill(self) -> None:
        """Leave a spark-submit on its way alone: a later try, or the watch, finds what became of it.

        The task's process is ended by a restart of Airflow as well as by a person; the job is stopped by
        `status.stop` only.
        """
        self.log.warning("the task was ended while it submitted")


def _environment() -> dict[str, str]:
    """Return what spark-submit needs of this process's environment.

    Not in it: Airflow's secrets, and PYTHONPATH, which Spark would hand on to the job.
    """
    kept = ("PATH", "HOME", "LANG", "TZ", "JAVA_HOME", "HADOOP_CONF_DIR", "HADOOP_USER_NAME", "MARKET_STACK")
    return {
        name: value
        for name, value in os.environ.items()
        if name in kept or name.startswith(("SPARK_", "PYSPARK_"))
    }
