"""The task of a job's point: submit its run to YARN at most once, then wait without a process.

`_hook` and its `_conf` and `_yarn_application_id` are private to the provider: its version is pinned, and
tests/airflow/test_operator.py would notice their going.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Context
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from market.airflow.trigger import JobTrigger, OfferTrigger
from market.cluster.clients import hdfs
from market.cluster.errors import HdfsOverQuota
from market.cluster.resourcemanager import App
from market.hadoop import paths
from market.jobs import runs, store
from market.jobs.life import kill, status
from market.jobs.life.state import End
from market.jobs.runs import Run
from market.jobs.spec import JobSpec
from market.jobs.submission import applications, copies, environments, spark_submit, submission_lock
from market.kit import settings
from market.kit.errors import BadInputError, ConflictError, MarketError
from market.kit.vocabulary import ENDED, WAITING
from market.machines.queries import is_offered
from market.people import homes, secrets

_CONNECTION = "market_yarn"
_AT_ONCE = 4  # requests to HDFS
_NEVER_SUBMITTED = End("cancelled", "cancelled", "stopped before it was submitted")


class _NotSubmittedError(Exception):
    """The run was stopped before it was submitted, or has ended: there is nothing to submit."""


class MarketSparkSubmit(SparkSubmitOperator):
    """SparkSubmitOperator for the runs of one point of a job: its only one, or a sweep's.

    Each try of the task works on the point's last run. When that run has failed and may run again, the market
    has added another, which the next try finds.
    """

    # Users wrote parts of the arguments; nothing is rendered as a template.
    template_fields: Sequence[str] = ()

    def __init__(
        self,
        *,
        job_id: str,
        username: str,
        own_folder: paths.JobFolder,
        spec: JobSpec,
        point: int,
        **options: Any,
    ) -> None:
        super().__init__(
            conn_id=_CONNECTION,
            durable=True,
            yarn_track_via_rm_api=True,
            **spark_submit.arguments(job_id, username, own_folder, spec, point),
            **options,
        )
        self.job_id = job_id
        self.point = point
        self.tag = runs.first_tag(job_id, spec.place(point))  # of the run that this try works on
        self.username = username
        self.own_folder = own_folder
        self.spec = spec
        self.machine_type = spec.machine_type
        self.output_folder = paths.output(own_folder, spec.place(point))
        self.leftovers = [
            place(own_folder, spec.place(point)) for place in (paths.output, paths.results, paths.working)
        ]

    def execute(self, context: Context) -> None:
        """Submit the run, or take up what an earlier try submitted, and defer until it has ended."""
        try:
            self.tag = self._run().tag
            if not status.claim(self.tag):
                self._stopped(context)
            elif self._waits_for_its_type():
                trigger = OfferTrigger(tag=self.tag, machine_type=self.machine_type)
                self.defer(trigger=trigger, method_name="take_up")
            else:
                super().execute(context)
        except _NotSubmittedError:
            self._finish()
        except AirflowFailException:
            raise
        except (AirflowException, MarketError, RuntimeError, OSError) as error:
            self._give_up_at_last(context, error)
            raise

    def _waits_for_its_type(self) -> bool:
        """Tell whether nobody offers the type of a run that YARN has not been given.

        Drivers run on the pool's own machines. There one would run, and cost, while nothing can work for it.
        So the run stays with the market, at no cost, until its type is offered.
        """
        if not settings.load().pool.enabled or is_offered(self.machine_type):
            return False
        run = self._run()
        return run.application_id is None and not runs.handed_over(run.tag)

    def take_up(self, context: Context, event: Any = None) -> None:
        """Go on when the type is offered, or the run has ended."""
        token = ExecutorSafeguard.tracker.set(self)  # Airflow warns of an `execute` that it has not called
        try:
            self.execute(context)
        finally:
            ExecutorSafeguard.tracker.reset(token)

    def submit_job(self, context: Context) -> str:
        """Return the application with the run's tag; submit it if there is none.

        spark-submit inherits the lock. When it outlives its task, a later try waits until it has ended, and
        then finds an application with the tag, or a run that has one: YARN may have forgotten it since. What
        became of that is for the watch to find out.
        """
        with submission_lock.taken(self.tag) as lock:
            # Only an earlier try can have submitted it, so long ago that YARN has forgotten it.
            app = applications.of(self.tag, forgotten=_is_later_try(context))
            known = app.application_id if app else self._run().application_id
            application_id = known or self._submit(lock).application_id
        if not status.submitted(self.tag, application_id):
            kill.applications(self.tag)
        return application_id

    def _submit(self, lock: int) -> App:
        if not status.claim(self.tag):
            status.end(self.tag, _NEVER_SUBMITTED)
            raise _NotSubmittedError
        assert self._hook is not None
        try:
            self._make_folder()
            self._hand_over(self._hook)
        except HdfsOverQuota:
            status.end(self.tag, End("failed", "user_error", homes.FULL))
            raise _NotSubmittedError from None
        self._hook._conf[spark_submit.TAGS] = spark_submit.tags(self.tag, self.job_id)
        if not status.hand_over(self.tag):  # it was stopped meanwhile
            status.end(self.tag, _NEVER_SUBMITTED)
            raise _NotSubmittedError
        failure: AirflowException | None = None
        try:
            self._hook.submit(self.application, pass_fds=(lock,), env=_environment())
        except AirflowException as error:  # also where the application was killed while it was submitted
            failure = error
        app = applications.of(self.tag)  # what counts is what YARN has, not what was printed
        if app is None:
            raise failure or RuntimeError("spark-submit ended, and YARN has no application of this job")
        return app

    def _stopped(self, context: Context) -> None:
        """End as a run that is not to run, or has ended, does.

        One that is to be stopped ends at once where YARN knows nothing of it, else with its application.
        """
        if self._run().ended:
            self._finish()
            return
        with submission_lock.taken(self.tag):
            app = applications.of(self.tag, forgotten=True)
            if app is None:
                status.end(self.tag, _NEVER_SUBMITTED)
            else:  # the try that submitted it may have ended before it stored that
                status.submitted(self.tag, app.application_id)
        if self._run().status not in ENDED:
            kill.applications(self.tag)
            self.poll_until_complete(None, context)
        self._finish()

    def _make_folder(self) -> None:
        """Make the job's folder, as its owner: it lies in his home, and counts in its quota.

        What an earlier run left goes: its output folder is not there when a program starts.
        """
        own = hdfs().as_user(self.username)
        if not self.own_folder.startswith(
            f"{paths.home(self.username)}/"
        ):  # a job from before they lay there
            hdfs().mkdirs(self.own_folder, permission="700")
            hdfs().set_owner(self.own_folder, self.username, self.username)
        folders = paths.staging, paths.events
        made = [*(place(self.own_folder) for place in folders), self.output_folder.rsplit("/", 1)[0]]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            # A folder comes with those above it.
            list(pool.map(lambda place: own.mkdirs(place, permission="700"), made))
            list(pool.map(lambda place: own.delete(place, recursive=True), self.leftovers))

    def _hand_over(self, hook: SparkSubmitHook) -> None:
        """Copy what the job is made of, tell `spark-submit` of what lies beside it, hand over the secrets.

        Ends the run, and raises _NotSubmittedError, where what was checked at its submission is not so any
        more.
        """
        own = hdfs().as_user(self.username)
        try:
            if self.spec.secrets:
                handed = spark_submit.secrets_file(secrets.values(self.username, self.spec.secrets))
                place = paths.secrets(self.own_folder, runs.point_tag(self.tag))
                own.mkdirs(paths.handed(self.own_folder), permission="700")
                own.create(place, [handed])
                own.set_permission(place, "600")
            if self.spec.requirements:
                hook._archives = _joined(hook._archives, self._packages())
            made = copies.made(own, self.username, self.own_folder, self.spec)
            _point(hook, made.elsewhere)
            if made.few:
                hook._files = _joined(hook._files, *spark_submit.few_places(self.own_folder, made.few))
                hook._conf[spark_submit.COPIES] = spark_submit.encoded(*made.few)
            elif made.has_archive:
                hook._archives = _joined(hook._archives, spark_submit.beside(self.own_folder))
        except (BadInputError, ConflictError) as error:
            status.end(self.tag, End("failed", "user_error", error.detail))
            raise _NotSubmittedError from error

    def _packages(self) -> str:
        """Return the address of the archive of packages, nothing if none is needed. Raises ConflictError."""
        place = environments.found(self.spec.requirements)
        if place is None:
            raise ConflictError("The packages that were there are not kept any more. Submit the job again.")
        if not place:
            return ""
        environments.used(place)
        return f"{settings.load().hdfs_uri}{place}#{paths.PACKAGES_LINK}"

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
        """End as the run has ended. A run that is under way after all is waited for on."""
        run = self._run()
        if not run.ended and run.status != WAITING:
            self.tag = run.tag
            self.poll_until_complete(None, context)
        self._finish()

    def _finish(self) -> None:
        run = self._run()
        if run.status == WAITING:
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
        if submission_lock.held(self.tag):  # it may come through yet: the reconciler waits for its end
            return
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


def _point(hook: SparkSubmitHook, elsewhere: Mapping[str, str]) -> None:
    """Tell of files where they are: each place, which has a folder of its own, stands once in one list."""
    for name in ("_files", "_jars", "_py_files", "_archives"):
        told = getattr(hook, name)
        for place, where in elsewhere.items():
            told = told and told.replace(place, where)
        setattr(hook, name, told)


def _joined(*lists: str | None) -> str:
    return ",".join(filter(None, lists))


def _is_later_try(context: Context) -> bool:
    instance = context.get("ti")
    return instance is None or instance.try_number > 1


def _environment() -> dict[str, str]:
    """Return what spark-submit needs of this process's environment.

    Not in it: Airflow's secrets, and PYTHONPATH, which Spark would hand on to the job.
    """
    kept = ("PATH", "HOME", "LANG", "TZ", "JAVA_HOME", "JDK_JAVA_OPTIONS", "MARKET_STACK")
    return {
        name: value
        for name, value in os.environ.items()
        if name in kept or name.startswith(("HADOOP_", "KRB5", "SPARK_", "PYSPARK_"))
    }
