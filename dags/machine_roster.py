"""Compare what is registered with what the ResourceManager shows, and act: without end."""
# Airflow reads files only that name it.

from market.airflow.loops import LoopTask, loop_dag
from market.kit.settings import load
from market.machines.roster import LOCK

with loop_dag(
    "machine_roster",
    "Admits lent machines to YARN, watches them, drains them and lets them go",
) as dag:
    LoopTask(
        task_id="roster",
        pass_path="market.machines.roster.run_pass",
        period_s=load().machines.poll_interval_s,
        lock=LOCK,
    )
