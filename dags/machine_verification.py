"""Measure what lent machines deliver: one canary at a time, where nothing runs, at random times."""

from datetime import UTC, datetime

from airflow.sdk import DAG

from market.looping import LoopTask
from market.machines.verification import LOCK

with DAG(
    dag_id="machine_verification",
    description="Runs a small Spark job on one idle machine at a time and keeps what it measured",
    schedule="@continuous",
    # Without a start date the second run would get the first one's, and never be made.
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["market"],
) as dag:
    LoopTask(
        task_id="verify",
        pass_path="market.machines.verification.run_pass",
        period_s=3,
        lock=LOCK,
    )
