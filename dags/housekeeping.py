"""Every minute: what finished jobs no longer need is put away."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from market.looping import LoopTask

with DAG(
    dag_id="housekeeping",
    schedule="@continuous",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["market"],
) as dag:
    LoopTask(task_id="withdraw", pass_path="market.jobs.reconcile.withdraw", period_s=60, lock="housekeeping")
