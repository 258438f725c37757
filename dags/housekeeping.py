"""Retention: list what ended jobs have left, and delete what is kept no longer."""
# Airflow reads files only that name it.

from market.airflow.loops import LoopTask, loop_dag

with loop_dag(
    "housekeeping",
    "Lists results and logs of ended jobs, deletes what is kept no longer",
) as dag:
    LoopTask(
        task_id="collect",
        pass_path="market.jobs.output.retention.collect",
        period_s=2,
        lock="collect results and logs",
    )
    LoopTask(
        task_id="withdraw", pass_path="market.airflow.reconcile.withdraw", period_s=60, lock="housekeeping"
    )
    LoopTask(
        task_id="discard",
        pass_path="market.jobs.output.retention.discard",
        period_s=60,
        lock="discard results",
    )
    LoopTask(task_id="tidy", pass_path="market.airflow.retention.tidy", period_s=300, lock="tidy Airflow")
