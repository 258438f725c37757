"""What finished jobs leave is listed soon, and what nobody needs any more is put away."""

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
    LoopTask(task_id="collect", pass_path="market.jobs.leavings.collect", period_s=2, lock="collect leavings")
    LoopTask(task_id="withdraw", pass_path="market.jobs.reconcile.withdraw", period_s=60, lock="housekeeping")
    LoopTask(
        task_id="discard", pass_path="market.jobs.leavings.discard", period_s=60, lock="discard leavings"
    )
    LoopTask(task_id="tidy", pass_path="market.jobs.airflow_rows.tidy", period_s=300, lock="tidy Airflow")
