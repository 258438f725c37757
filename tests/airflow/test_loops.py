"""The loop that Airflow keeps alive."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.triggers.base import TaskSuccessEvent
from ledger_world import World

from market.airflow.loops import LoopTask, LoopTrigger
from market.airflow.retention import OWN_DAGS
from market.kit import database, settings

passes: list[str] = []


def work() -> None:
    passes.append("done")


def trouble() -> None:
    passes.append("tried")
    raise RuntimeError("the service is away")


@pytest.fixture(autouse=True)
def _no_passes_yet() -> None:
    passes.clear()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def mine(lock: str) -> Iterator[bool]:
        yield True

    monkeypatch.setattr(database, "exclusively", mine)


def run(trigger: LoopTrigger) -> list[Any]:
    async def events() -> list[Any]:
        return [event async for event in trigger.run()]

    return asyncio.run(events())


def test_a_loop_passes_again_and_again_then_ends_its_task(alone: None) -> None:
    found = run(LoopTrigger(f"{__name__}.work", period_s=0.01, lasts_s=0.3, lock="test"))
    assert len(passes) > 3
    assert [type(event) for event in found] == [TaskSuccessEvent]


@pytest.mark.parametrize("path", [f"{__name__}.trouble", "market.no_such_module.work"])
def test_a_pass_that_fails_does_not_end_the_loop(alone: None, path: str) -> None:
    found = run(LoopTrigger(path, period_s=0.01, lasts_s=0.1, lock="test"))
    assert [type(event) for event in found] == [TaskSuccessEvent]


def test_a_loop_is_made_again_from_what_it_says_of_itself() -> None:
    trigger = LoopTrigger(f"{__name__}.work", period_s=2, lasts_s=60, lock="test")
    path, kwargs = trigger.serialize()
    assert path == f"{LoopTrigger.__module__}.{LoopTrigger.__name__}"
    assert LoopTrigger(**kwargs).serialize() == (path, kwargs)


def test_its_task_goes_to_the_triggerer_without_a_worker() -> None:
    task = LoopTask(task_id="loop", pass_path=f"{__name__}.work", period_s=2, lock="test")
    assert task.start_from_trigger
    assert LoopTrigger(**task.start_trigger_args.trigger_kwargs).pass_path == f"{__name__}.work"


@pytest.mark.parametrize("file", sorted((settings.ROOT / "dags").glob("*.py")), ids=lambda path: path.stem)
def test_a_loop_s_dag_begins_anew_after_each_run(file: Path) -> None:
    """Without a start date Airflow takes the second run of `@continuous` for the first one."""
    found = [value for value in runpy.run_path(str(file)).values() if isinstance(value, DAG)]
    for dag in found:
        assert dag.start_date is not None
        assert dag.max_active_runs == 1
        assert not dag.catchup
    assert found


def test_runs_of_every_dag_of_the_market_s_own_are_put_away() -> None:
    assert sorted(OWN_DAGS) == sorted(path.stem for path in (settings.ROOT / "dags").glob("*.py"))


@pytest.mark.database
def test_a_loop_that_gets_over_nothing_is_told_to_the_operator(world: World, alone: None) -> None:
    trigger = LoopTrigger(f"{__name__}.trouble", period_s=0.01, lasts_s=0.3, lock="test")
    for _ in range(9):
        trigger.once()
    assert world.sql("SELECT * FROM alert") == []
    for _ in range(5):
        trigger.once()
    (alert,) = world.sql("SELECT * FROM alert")
    assert (alert.kind, alert.subject) == ("failing_loop", f"{__name__}.trouble")
