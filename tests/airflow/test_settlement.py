from __future__ import annotations

import runpy
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from airflow.sdk import CronDataIntervalTimetable
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from market.airflow import settlement
from market.credits.settlement import steps
from market.kit import settings
from market.kit.vocabulary import SETTLEMENT_STEPS


def _dag(name: str) -> Any:
    return runpy.run_path(str(settings.ROOT / "dags" / f"{name}.py"))["dag"]


def test_the_settlement_runs_its_steps_one_after_the_other() -> None:
    dag = _dag("credit_settlement")
    assert isinstance(dag.schedule, CronDataIntervalTimetable)
    assert dag.max_active_runs == 1
    for before, after in pairwise(SETTLEMENT_STEPS):
        assert before in dag.get_task(after).upstream_task_ids
    assert all(dag.get_task(step).retries == 3 for step in SETTLEMENT_STEPS)


def test_exactly_one_meter_runs() -> None:
    dag = _dag("cluster_meter")
    assert dag.max_active_runs == 1
    assert dag.get_task("meter").start_from_trigger


def test_what_is_settled_already_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(steps, "prepare", lambda until_ms: asked.append(until_ms))
    with pytest.raises(AirflowSkipException):
        settlement.freeze(datetime(2026, 11, 24, tzinfo=UTC))
    assert asked == [1_795_478_400_000]


def test_a_broken_ledger_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(interval_id: int) -> None:
        raise steps.InvariantError("hold: x")

    monkeypatch.setattr(steps, "reconcile", broken)
    with pytest.raises(AirflowFailException, match="hold: x"):
        settlement.reconcile(1)
