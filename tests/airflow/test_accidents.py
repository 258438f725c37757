"""Whatever dies while a run is submitted: YARN gets it once, and it comes to a true end.

The task, the state machine, the locks and the database are the real ones; Airflow's tries, spark-submit and
the ResourceManager do what a test says, so each moment is exact. What a process does when it dies is tried on
the real stack by tests/system/jobs/test_accidents.py, for a few of these cases.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from fake_cluster import Yarn
from ledger_world import World

from market.airflow.operator import MarketSparkSubmit
from market.hadoop import paths
from market.jobs import runs, store
from market.jobs.life import kill, status, watch
from market.jobs.life.state import End
from market.jobs.runs import Run
from market.jobs.spec import JobSpec
from market.jobs.submission import applications, spark_submit, submission_lock
from market.kit import clock
from market.kit.database import transaction

pytestmark = pytest.mark.database

# What dies -> whether the task ends, and whether its spark-submit does. A scheduler's death takes the worker
# along, a worker's the task; an api-server's ends a task that cannot report; a triggerer's ends what waits.
VICTIMS = {
    "task": (True, False),
    "worker": (True, False),
    "spark-submit": (False, True),
    "submitter": (False, True),
    "both": (True, True),
    "scheduler": (True, True),
    "api-server": (True, False),
    "dag-processor": (False, False),
    "triggerer": (False, False),
}
# `before`: spark-submit has begun; `submitted`: YARN has the application and the market has not stored it;
# `stored`: the task waits without a process.
MOMENTS = ("before", "submitted", "stored")
SHAPES = ("plain", "sweep", "repeated")  # `repeated`: the second attempt of a sweep's point


class KilledError(BaseException):
    """The task's process was killed: nothing of it runs any more, no handler either."""


class Accident:
    """A run's task, Airflow's tries of it, and a spark-submit that dies or outlives the task."""

    def __init__(self, world: World, yarn: Yarn, shape: str, victim: str, moment: str) -> None:
        self.yarn, self.victim, self.moment = yarn, victim, moment
        self.job_id = world.job(world.member(), at=clock.now_ms())
        self.point = 0 if shape == "plain" else 1
        spec: dict[str, Any] = {}
        if shape != "plain":
            spec = {"grid": {"alpha": [1, 2]}, "max_parallel": 2, "point_retries": 1}
        job = store.find(self.job_id)
        assert job is not None
        self.spec = JobSpec.from_json({**job.spec.to_json(), **spec})
        world.submitted(self.job_id, self.spec)
        self.stored: dict[str, Any] = {}  # what Airflow keeps of a task between its tries
        self.tries = 0
        self.submissions = 0
        self.outlives: Callable[[], None] | None = None
        if shape == "repeated":
            self.fail_first_attempt()

    def fail_first_attempt(self) -> None:
        tag = self.run().tag
        status.claim(tag)
        status.submitted(tag, f"application_{tag}")
        self.yarn.has(tag, "FINISHED", tags=(tag, self.job_id), final_status="FAILED")
        status.end(tag, End("failed", "user_error", "The program failed."))
        self.stored["spark_job_id"] = f"application_{tag}"

    def run(self) -> Run:
        job = store.find(self.job_id)
        assert job is not None
        run = runs.of_point(job, self.point)
        assert run is not None
        return run

    def try_once(self) -> str:
        """Let Airflow try the task; return what became of the try."""
        self.tries += 1
        task = MarketSparkSubmit(
            task_id="spark",
            job_id=self.job_id,
            username="alice",
            own_folder=paths.job_folder("alice", self.job_id),
            spec=self.spec,
            point=self.point,
        )
        task._hook = SimpleNamespace(  # type: ignore[assignment]
            submit=self._spark_submit,
            _conf={},
            _should_track_driver_status=False,
            _should_track_driver_via_k8s_api=lambda: False,
            _is_yarn_cluster_mode=True,
            _yarn_track_via_rm_api=True,
            _validate_yarn_track_via_rm_api_config=lambda: None,
        )
        context = {
            "ti": SimpleNamespace(stats_tags={}, try_number=self.tries, max_tries=10),
            "task_state_store": SimpleNamespace(
                get=self.stored.get, set=lambda key, value: self.stored.update({key: value})
            ),
        }
        try:
            task.execute(context)  # type: ignore[arg-type]
        except TaskDeferred:
            return "waits"
        except KilledError:
            return "killed"
        except AirflowFailException:
            return "ended"
        except AirflowException:
            return "failed"
        raise AssertionError("a task either waits or ends")

    def _spark_submit(self, application: str, pass_fds: tuple[int, ...], env: Any) -> None:
        tag = self.run().tag
        self.submissions += 1
        if self.submissions > 1 or self.moment == "stored":
            self._to_yarn(tag)
            return
        task_dies, submission_dies = VICTIMS[self.victim]
        if self.moment == "submitted":
            self._to_yarn(tag)
        elif not submission_dies:
            if not task_dies:
                self._to_yarn(tag)
            else:  # it goes on, and holds the lock that it has inherited
                lock = os.dup(pass_fds[0])
                self.outlives = lambda: (self._to_yarn(tag), os.close(lock))[1]
        if task_dies:
            raise KilledError
        if submission_dies:
            raise AirflowException("spark-submit was killed")

    def _to_yarn(self, tag: str) -> None:
        self.yarn.has(tag, "ACCEPTED", tags=tuple(spark_submit.tags(tag, self.job_id).split(",")))

    def applications(self, tag: str) -> list[str]:
        return [app.application_id for app in self.yarn.known.values() if app.tags[0] == tag]


@pytest.fixture(autouse=True)
def surroundings(world: World, yarn: Yarn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    for module in (applications, kill):
        monkeypatch.setattr(module, "resource_manager", lambda: yarn)
    monkeypatch.setattr(applications, "ended_applications", lambda: yarn)
    monkeypatch.setattr(MarketSparkSubmit, "_make_folder", lambda task: None)
    monkeypatch.setattr(MarketSparkSubmit, "_hand_over", lambda *_: None)
    quickly = functools.partial(submission_lock.taken, patience_s=0.3)
    monkeypatch.setattr(submission_lock, "taken", quickly)
    world.machine(world.member())  # or a run waits for its type, and nothing is submitted


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_is_submitted_once_whatever_dies(
    world: World, yarn: Yarn, shape: str, victim: str, moment: str
) -> None:
    accident = Accident(world, yarn, shape, victim, moment)
    tag = accident.run().tag
    first = accident.try_once()
    assert first in ("waits", "killed", "failed"), "no accident ends a run"
    watch.look()  # the watch, which knows nothing of tries, looks in between
    if accident.outlives:
        accident.outlives()
    while first != "waits" and accident.try_once() != "waits":
        assert accident.tries < 5
    if moment == "stored":  # whoever waited has died: the next try finds what it waited for
        assert accident.try_once() == "waits"
    watch.look()
    run = accident.run()
    assert (run.tag, run.status) == (tag, "accepted")
    assert accident.applications(tag) == [run.application_id], "exactly one"
    assert accident.stored.get("spark_job_id") == run.application_id

    assert status.stop_job(accident.job_id, "cancelled", "cancelled by alice", "alice") == "cancelling"
    watch.look()
    assert yarn.killed == [run.application_id]
    yarn.has(tag, "KILLED", tags=(tag,), finished_ms=clock.now_ms())
    assert watch.look() == set()
    job = store.find(accident.job_id)
    assert job is not None
    assert (job.status, job.reason) == ("cancelled", "cancelled by alice")
    assert accident.try_once() == "ended", "Airflow's run ends as the job has"
    assert accident.applications(tag) == [run.application_id]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_second_try_beside_the_first_waits_for_its_end(world: World, yarn: Yarn, shape: str) -> None:
    accident = Accident(world, yarn, shape, "task", "before")
    tag = accident.run().tag
    assert accident.try_once() == "killed"
    with pytest.raises(RuntimeError, match="an earlier spark-submit of this job does not end"):
        accident.try_once()
    assert accident.applications(tag) == []
    assert accident.outlives is not None
    accident.outlives()
    assert accident.try_once() == "waits"
    assert len(accident.applications(tag)) == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_a_submission_that_comes_through_after_the_end_is_killed(
    world: World, yarn: Yarn, shape: str
) -> None:
    accident = Accident(world, yarn, shape, "task", "before")
    run = accident.run()
    assert accident.try_once() == "killed"
    status.stop_job(accident.job_id, "cancelled", "cancelled by alice", "alice")
    status.end(run.tag, End("cancelled", "cancelled", "stopped before it was submitted"))
    assert accident.outlives is not None
    accident.outlives()
    watch.look()
    assert yarn.killed == [f"application_{run.tag}"]
    with transaction() as cursor:
        cursor.execute("SELECT count(*) FROM run WHERE job_id = %s AND ended_ms IS NULL", [accident.job_id])
        assert cursor.fetchone()[0] == 0
