"""Ask the ResourceManager what runs, where, and how much waits: without end."""
# Airflow reads files only that name it.

from market.airflow.loops import LoopTask, loop_dag
from market.kit.settings import load

with loop_dag(
    "cluster_meter",
    "Samples applications, containers and nodes: what is charged and paid follows from it",
) as dag:
    LoopTask(
        task_id="meter",
        pass_path="market.metering.meter.run_pass",
        period_s=load().machines.poll_interval_s,
        lock="cluster_meter",
    )
