"""Measure what lent machines deliver: one at a time, where nothing runs, at random times."""
# Airflow reads files only that name it.

from market.airflow.loops import LoopTask, loop_dag
from market.machines.verification import LOCK

with loop_dag(
    "machine_verification",
    "Runs a small Spark job on one idle machine at a time and keeps what it measured",
) as dag:
    LoopTask(
        task_id="verify",
        pass_path="market.machines.verification.run_pass",
        period_s=3,
        lock=LOCK,
    )
