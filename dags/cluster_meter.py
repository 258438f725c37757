"""Ask the ResourceManager what runs, where, and how much waits: every few seconds, without end."""

from datetime import UTC, datetime

from airflow.sdk import DAG

from market.looping import LoopTask
from market.settings import load

with DAG(
    dag_id="cluster_meter",
    description="Samples applications, containers and nodes: what is charged and paid follows from it",
    schedule="@continuous",
    # Without a start date the second run would get the first one's, and never be made.
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["market"],
) as dag:
    LoopTask(
        task_id="meter",
        pass_path="market.metering.meter.run_pass",
        period_s=load().machines.poll_interval_s,
        lock="cluster_meter",
    )
