"""The task of a job at the moments when it and YARN may know different things."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.sdk.exceptions import AirflowException, TaskDeferred
from fake_cluster import Yarn
from ledger_world import World

from market.airflow import operator
from market.airflow.operator import MarketSparkSubmit
from market.jobs import store
from market.jobs.life import kill, status, watch
from market.kit import clock


@pytest.mark.parametrize("name", ["_yarn_application_id", "_submit_sp", "_conf", "_is_yarn_cluster_mode"])
def test_the_provider_still_has_what_the_operator_leans_on(name: str) -> None:
    assert name in inspect.getsource(SparkSubmitHook)
    assert "kwargs" in inspect.signature(SparkSubmitHook.submit).parameters


@pytest.fixture
def task(world: World, yarn: Yarn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MarketSparkSubmit:
    """Return the task of a job that nobody has submitted; `yarn` is its ResourceManager."""
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    for module in (operator, kill):
        monkeypatch.setattr(module, "resource_manager", lambda: yarn)
    monkeypatch.setattr(MarketSparkSubmit, "_make_folder", lambda task: None)
    job_id = world.job(world.member(), at=clock.now_ms())
    world.stand(job_id, "submitted")
    job = store.find(job_id)
    assert job is not None
    return MarketSparkSubmit(task_id="spark", job_id=job_id, username="alice", spec=job.spec, point=0)


def submits(task: MarketSparkSubmit, then: Any) -> None:
    """Have the task's `spark-submit` do this."""
    task._hook = SimpleNamespace(submit=lambda *_, **__: then(), _conf={})  # type: ignore[assignment]


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
