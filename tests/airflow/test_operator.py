"""The task of a job at the moments when it and YARN may know different things."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from fake_cluster import Folders, Yarn
from ledger_world import World

from market.airflow import operator
from market.airflow.operator import MarketSparkSubmit
from market.airflow.trigger import OfferTrigger
from market.cluster.errors import HdfsOverQuota
from market.jobs import runs, store
from market.jobs.life import kill, status, watch
from market.jobs.life.state import End
from market.jobs.spec import JobSpec
from market.jobs.submission import applications, submission_lock
from market.kit import clock, settings


@pytest.mark.parametrize("name", ["_yarn_application_id", "_submit_sp", "_conf", "_is_yarn_cluster_mode"])
def test_the_provider_still_has_what_the_operator_leans_on(name: str) -> None:
    assert name in inspect.getsource(SparkSubmitHook)
    assert "kwargs" in inspect.signature(SparkSubmitHook.submit).parameters


def test_spark_is_told_where_the_copies_of_large_files_lie() -> None:
    hook = SparkSubmitHook(
        archives="hdfs://h/j/0/d.zip,hdfs://h/j/1/env.tar.gz#environment", files="hdfs://h/j/2/m"
    )
    operator._point(hook, {"/j/1/env.tar.gz": "/kept/v/env.tar.gz", "/j/2/m": "/kept/w/m"})
    assert hook._archives == "hdfs://h/j/0/d.zip,hdfs://h/kept/v/env.tar.gz#environment"
    assert (hook._files, hook._jars, hook._py_files) == ("hdfs://h/kept/w/m", None, None)


@pytest.fixture
def hdfs() -> Folders:
    return Folders()


@pytest.fixture
def task(
    world: World, yarn: Yarn, hdfs: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> MarketSparkSubmit:
    """Return the task of a job that nobody has submitted; `yarn` is its ResourceManager."""
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(applications, "ended_applications", lambda: yarn)
    for module in (applications, kill):
        monkeypatch.setattr(module, "resource_manager", lambda: yarn)
    monkeypatch.setattr(operator, "hdfs", lambda: hdfs)
    monkeypatch.setattr(MarketSparkSubmit, "_hand_over", lambda *_: None)
    job_id = world.job(world.member(), at=clock.now_ms())
    world.stand(job_id, "submitted")
    job = store.find(job_id)
    assert job is not None
    return MarketSparkSubmit(
        task_id="spark", job_id=job_id, username="alice", own_folder=job.folder, spec=job.spec, point=0
    )


def submits(task: MarketSparkSubmit, then: Any) -> None:
    """Have the task's `spark-submit` do this."""
    task._hook = SimpleNamespace(  # type: ignore[assignment]
        submit=lambda *_, **__: then(),
        _conf={},
        _is_yarn_cluster_mode=True,
        _yarn_track_via_rm_api=True,
        _should_track_driver_status=False,
        _should_track_driver_via_k8s_api=lambda: False,
        _validate_yarn_track_via_rm_api_config=lambda: None,
    )


@pytest.mark.database
def test_a_job_that_is_cancelled_while_yarn_takes_it_ends_with_its_application(
    task: MarketSparkSubmit, yarn: Yarn
) -> None:
    def killed_on_its_way() -> None:
        status.stop_job(task.job_id, "cancelled", "cancelled by alice", "alice")
        yarn.has(task.tag, "KILLED", final_status="KILLED", finished_ms=clock.now_ms())
        raise AirflowException("Failed to submit to YARN: it was killed by user market")

    assert status.claim(task.tag)
    submits(task, killed_on_its_way)
    assert task.submit_job({}) == f"application_{task.tag}"
    assert watch.look() == set()
    found = store.find(task.job_id)
    assert found is not None
    assert (found.status, found.reason) == ("cancelled", "cancelled by alice")


@pytest.mark.database
def test_a_later_try_of_a_stopped_job_stores_what_an_earlier_one_submitted(
    task: MarketSparkSubmit, yarn: Yarn
) -> None:
    assert status.claim(task.tag)
    assert status.hand_over(task.tag)
    yarn.has(task.tag, "KILLED", final_status="KILLED", finished_ms=clock.now_ms())
    status.stop_job(task.job_id, "cancelled", "cancelled by alice", "alice")
    with pytest.raises(TaskDeferred):
        task.execute({})
    assert watch.look() == set()
    found = store.find(task.job_id)
    assert found is not None
    assert (found.status, found.application_id) == ("cancelled", f"application_{task.tag}")


@pytest.mark.database
def test_a_submission_that_yarn_knows_nothing_of_says_why_it_failed(task: MarketSparkSubmit) -> None:
    def refused() -> None:
        raise AirflowException("the queue is stopped")

    assert status.claim(task.tag)
    submits(task, refused)
    with pytest.raises(AirflowException, match="the queue is stopped"):
        task.submit_job({})


@pytest.fixture
def point(world: World, task: MarketSparkSubmit) -> MarketSparkSubmit:
    """Return the task of a sweep's second point, which another try submitted and did not live to wait for."""
    job = store.find(task.job_id)
    assert job is not None
    spec = JobSpec.from_json({**job.spec.to_json(), "grid": {"alpha": [1, 2]}})
    world.submitted(task.job_id, spec)
    point = MarketSparkSubmit(
        task_id="spark", job_id=task.job_id, username="alice", own_folder=job.folder, spec=spec, point=1
    )
    assert status.claim(point.tag)
    assert status.hand_over(point.tag)
    status.submitted(point.tag, f"application_{point.tag}")
    status.move(point.tag, "running", f"application_{point.tag}")
    return point


def never() -> None:
    pytest.fail("it was submitted a second time")


@pytest.mark.database
@pytest.mark.parametrize("stored", [True, False])
def test_a_point_that_has_succeeded_keeps_its_results_when_its_task_comes_back(
    point: MarketSparkSubmit, hdfs: Folders, stored: bool
) -> None:
    """YARN has forgotten the application meanwhile."""
    results = f"{point.output_folder}/part-0"
    hdfs.there.add(results)
    status.end(point.tag, End("succeeded", None, ""))
    submits(point, never)
    kept = {point.external_id_key: f"application_{point.tag}"} if stored else {}
    point.execute({"task_state_store": kept})  # type: ignore[typeddict-item, typeddict-unknown-key]
    assert results in hdfs.there


@pytest.mark.database
def test_a_run_that_yarn_had_and_forgot_is_not_submitted_again(
    point: MarketSparkSubmit, hdfs: Folders
) -> None:
    hdfs.there.add(results := f"{point.output_folder}/part-0")
    submits(point, never)
    with pytest.raises(TaskDeferred):
        point.execute({})
    assert results in hdfs.there


@pytest.mark.database
def test_a_run_that_ends_while_its_task_waits_for_its_turn_is_not_submitted(
    point: MarketSparkSubmit, hdfs: Folders, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
) -> None:
    hdfs.there.add(results := f"{point.output_folder}/part-0")
    submits(point, never)
    claimed = iter([True, False])  # stopped, or ended, in between
    monkeypatch.setattr(operator.status, "claim", lambda tag: next(claimed))
    monkeypatch.setattr(operator, "_NEVER_SUBMITTED", End("succeeded", None, ""))
    with status.database.transaction() as cursor:
        cursor.execute("UPDATE run SET application_id = NULL WHERE tag = %s", [point.tag])
    point.execute({})
    assert results in hdfs.there


@pytest.mark.database
def test_a_run_that_was_never_submitted_starts_without_what_an_earlier_one_left(
    task: MarketSparkSubmit, hdfs: Folders, yarn: Yarn
) -> None:
    hdfs.there.add(left := f"{task.output_folder}/part-0")
    assert status.claim(task.tag)
    submits(task, lambda: yarn.has(task.tag, "ACCEPTED"))
    assert task.submit_job({}) == f"application_{task.tag}"
    assert left not in hdfs.there


@pytest.mark.database
def test_a_later_try_finds_what_yarn_had_and_forgot_before_anybody_stored_it(
    point: MarketSparkSubmit, hdfs: Folders, yarn: Yarn
) -> None:
    hdfs.there.add(results := f"{point.output_folder}/part-0")
    with status.database.transaction() as cursor:
        cursor.execute(
            "UPDATE run SET application_id = NULL, status = 'queued', started_ms = NULL WHERE tag = %s",
            [point.tag],
        )
    yarn.sums_up(point.tag, "FINISHED", final_status="SUCCEEDED", finished_ms=clock.now_ms())
    submits(point, never)
    with pytest.raises(TaskDeferred):
        point.execute({})
    assert results in hdfs.there
    assert point._run().application_id == f"application_{point.tag}"


@pytest.mark.database
def test_a_trigger_that_fired_too_early_ends_nothing(point: MarketSparkSubmit) -> None:
    with pytest.raises(TaskDeferred):
        point.execute_complete({}, {"tag": point.tag})
    status.end(point.tag, End("succeeded", None, ""))
    point.execute_complete({}, {"tag": point.tag})


@pytest.mark.database
def test_a_job_whose_type_nobody_offers_waits_without_a_driver(
    task: MarketSparkSubmit, yarn: Yarn, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TaskDeferred) as waits:
        task.execute({})
    assert isinstance(waits.value.trigger, OfferTrigger)
    assert waits.value.trigger.serialize()[1] == {"tag": task.tag, "machine_type": "cpu"}
    assert yarn.known == {}
    found = store.find(task.job_id)
    assert found is not None
    assert found.status == "queued"
    assert watch.look() == {task.tag}, "the watch does not call it lost"

    world.machine(world.member())
    submits(task, lambda: yarn.has(task.tag, "ACCEPTED"))
    capsys.readouterr()
    context: Any = {"ti": SimpleNamespace(stats_tags={}, try_number=1, max_tries=1)}
    with pytest.raises(TaskDeferred) as submitted:
        getattr(task, waits.value.method_name)(context, {"tag": task.tag})
    assert not isinstance(submitted.value.trigger, OfferTrigger)
    assert "cannot be called outside" not in capsys.readouterr().out
    assert set(yarn.known) == {f"application_{task.tag}"}
    assert runs.handed_over(task.tag)


@pytest.mark.database
def test_a_job_that_waits_for_its_type_is_cancelled_at_once_and_costs_nothing(
    task: MarketSparkSubmit, world: World
) -> None:
    with pytest.raises(TaskDeferred) as waits:
        task.execute({})
    assert status.stop_job(task.job_id, "cancelled", "cancelled by alice", "alice") == "cancelled"
    assert not world.hold(task.job_id).open
    assert watch.look() == set()
    with pytest.raises(AirflowFailException, match="cancelled by alice"):
        getattr(task, waits.value.method_name)({}, {"tag": task.tag})


@pytest.mark.database
def test_without_the_pool_s_machine_yarn_holds_what_waits(
    task: MarketSparkSubmit, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = settings.load()
    without = replace(loaded, pool=replace(loaded.pool, enabled=False))
    monkeypatch.setattr(settings, "load", lambda *_: without)
    assert not task._waits_for_its_type()


@pytest.mark.database
def test_what_may_come_through_yet_is_not_closed(task: MarketSparkSubmit, world: World) -> None:
    """A spark-submit that outlives its task may still give YARN the application; its hold stays as long."""
    assert status.claim(task.tag)
    context = {"ti": SimpleNamespace(try_number=2, max_tries=1)}
    with submission_lock.taken(task.tag):
        assert status.hand_over(task.tag)
        task._give_up_at_last(context, RuntimeError("it does not end"))  # type: ignore[arg-type]
    found = store.find(task.job_id)
    assert found is not None
    assert found.status == "queued"
    task._give_up_at_last(context, RuntimeError("it does not end"))  # type: ignore[arg-type]
    found = store.find(task.job_id)
    assert found is not None
    assert (found.status, found.reason_code) == ("failed", "pool_failure")
    assert world.hold(task.job_id).open, "until the meter has looked"


@pytest.mark.database
def test_a_full_home_is_its_owner_s_business(
    task: MarketSparkSubmit, hdfs: Folders, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.machine(world.member())

    def full(path: str, permission: str = "755") -> None:
        raise HdfsOverQuota("the quota is used up")

    monkeypatch.setattr(hdfs, "mkdirs", full)
    submits(task, never)
    with pytest.raises(AirflowFailException, match="Your home is full"):
        task.execute({"task_state_store": {}})  # type: ignore[typeddict-item, typeddict-unknown-key]
    found = store.find(task.job_id)
    assert found is not None
    assert (found.status, found.reason_code) == ("failed", "user_error")
