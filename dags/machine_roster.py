"""Compare what is registered with what the ResourceManager shows, and act: every few seconds, without end."""

from datetime import UTC, datetime

from airflow.sdk import DAG

from market.looping import LoopTask
from market.machines.roster import LOCK
from market.settings import load

with DAG(
    dag_id="machine_roster",
    description="Admits lent machines to YARN, watches them, drains them and lets them go",
    schedule="@continuous",
    # Without a start date the second run would get the first one's, and never be made.
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["market"],
) as dag:
    LoopTask(
        task_id="roster",
        pass_path="market.machines.roster.run_pass",
        period_s=load().machines.poll_interval_s,
        lock=LOCK,
    )
