"""Bring jobs, their applications and their tasks together after any accident."""
# Airflow reads files only that name it.

from market.airflow.loops import LoopTask, loop_dag

with loop_dag(
    "job_reconciler",
    "Moves jobs on that nothing else does, and closes those that were forgotten",
) as dag:
    LoopTask(
        task_id="reconcile",
        pass_path="market.airflow.reconcile.run_pass",
        period_s=15,
        lock="reconcile jobs",
    )
