"""Every 15 seconds: jobs, their applications and their tasks are brought together after any accident."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from market.looping import LoopTask

with DAG(
    dag_id="job_reconciler",
    schedule="@continuous",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["market"],
) as dag:
    LoopTask(
        task_id="reconcile", pass_path="market.jobs.reconcile.run_pass", period_s=15, lock="reconcile jobs"
    )
