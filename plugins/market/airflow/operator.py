"""The task of a job's point: submit its run to YARN at most once, then wait without a process.

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
from market.jobs import runs, store
from market.jobs.life import kill, status
from market.jobs.life.state import End
from market.jobs.runs import Run
from market.jobs.spec import JobSpec
from market.jobs.submission import spark_submit, submission_lock
from market.kit import settings
from market.kit.errors import MarketError
from market.kit.vocabulary import ENDED
from market.machines.queries import is_offered

_CONNECTION = "market_yarn"
_MIB = 1 << 20
_NEVER_SUBMITTED = End("cancelled", "cancelled", "stopped before it was submitted")


class MarketSparkSubmit(SparkSubmitOperator):
    """SparkSubmitOperator for the runs of one point of a job: its only one, or a sweep's.

    Each try of the task works on the point's last run. When that run has failed and may run again, the market
    has added another, which the next try finds.
    """

    # Users wrote parts of the arguments; nothing is rendered as a template.
    template_fields: Sequence[str] = ()

    def __init__(self, *, job_id: str, username: str, spec: JobSpec, point: int, **options: Any) -> None:
        super().__init__(
            conn_id=_CONNECTION,
            durable=True,
            yarn_track_via_rm_api=True,
            **spark_submit.arguments(job_id, username, spec, point),
            **options,
        )
        self.job_id = job_id
        self.point = point
        self.tag = runs.first_tag(job_id, spec.place(point))  # of the run that this try works on
        self.username = username
        self.machine_type = spec.machine_type
        self.output_folder = paths.output(job_id, spec.place(point))
        self.program_files = spark_submit.files(job_id, username, spec, point)

    def execute(self, context: Context) -> None:
        """Submit the run, or take up what an earlier try submitted, and defer until it has ended."""
        try:
            self.tag = self._run().tag
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

        spark-submit inherits the lock. When it outlives its task, a later try waits until it has ended, and
        then finds an application with the tag.
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
        self._hook._conf[spark_submit.TAGS] = spark_submit.tags(self.tag, self.job_id)
        if not is_offered(self.machine_type):
            # A driver in the pool would run, and cost, while nothing can work for it: it waits for its type.
            self._hook._conf[spark_submit.DRIVER_LABEL] = self.machine_type
        failure: AirflowException | None = None
        try:
            self._hook.submit(self.application, pass_fds=(lock,), env=_environment())
        except AirflowException as error:  # also where the application was killed while it was submitted
            failure = error
        app = self._tagged()  # what counts is what YARN has, not what was printed
        if app is None:
            raise failure or RuntimeError("spark-submit ended, and YARN has no application of this job")
        return app

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
        """Return this run's application, the last one where more than one has its tag."""
        tagged = sorted(resource_manager().apps(tags=[self.tag]), key=lambda app: app.started_ms)
        return tagged[-1] if tagged else None

    def _make_folder(self) -> None:
        """Make the job's folder for its owner; what the program writes into it has the home's limits.

        The output folder of an earlier run goes: it is not there when a program starts.
        """
        files, limits, folder = hdfs(), settings.load().files, paths.job_folder(self.job_id)
        files.mkdirs(folder, permission="700")
        files.set_owner(folder, self.username, self.username)
        files.set_quota(folder, limits.home_quota_names, limits.home_quota_mib * _MIB)
        own = files.as_user(self.username)
        own.mkdirs(self.output_folder.rsplit("/", 1)[0], permission="700")
        own.delete(self.output_folder, recursive=True)
        for source, place in self.program_files:
            if place != source:
                own.mkdirs(place.rsplit("/", 1)[0], permission="700")
                own.create(place, own.open(source))

    def get_job_status(self, external_id: Any, context: Context) -> str:
        """Return the state of what an earlier try submitted: always one that is waited for.

        So no try submits a run twice, and `execute_complete` tells how it ended. Only when the point's last
        run is a new one, the earlier application is over: then this try submits the new run.
        """
        return "RUNNING" if external_id == self._run().application_id else "FAILED"

    def poll_until_complete(self, external_id: Any, context: Context) -> None:
        """Give the process back until the job has ended."""
        self.defer(trigger=JobTrigger(tag=self.tag), method_name="execute_complete")

    def execute_complete(self, context: Context, event: Any = None) -> None:
        """End as the job has ended."""
        self._finish()

    def _finish(self) -> None:
        run = self._run()
        if run.status == "waiting":
            raise AirflowException(f"{run.reason} It runs again.")
        if run.status != "succeeded":
            raise AirflowFailException(f"{run.status}: {run.reason}")

    def _run(self) -> Run:
        """Return the last run of this task's point."""
        job = store.find(self.job_id)
        run = runs.of_point(job, self.point) if job else None
        if run is None:
            raise AirflowFailException("The market does not know this job.")
        return run

    def _give_up_at_last(self, context: Context, error: Exception) -> None:
        """Close the job when no try is left: nobody else would learn that it was never submitted."""
        instance = context["ti"]
        if instance.try_number <= instance.max_tries:
            return
        self.log.error("no try is left: %s", error)
        reason = (
            "The market could not submit this job. Nothing was charged; an administrator sees why in Airflow."
        )
        status.end(self.tag, End("failed", "pool_failure", reason))

    def on_kill(self) -> None:
        """Leave a spark-submit on its way alone: a later try, or the watch, finds what became of it.

        The task's process is ended by a restart of Airflow as well as by a person; the job is stopped by
        `status.stop_job` and `stop_run` only.
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
