"""List what ended jobs have left, delete what is kept no longer, and look whether the ledger adds up."""
# Airflow reads files only that name it.

from market.airflow.loops import LoopTask, loop_dag

with loop_dag(
    "housekeeping",
    "Lists results and logs of ended jobs, deletes what is kept no longer, looks whether the ledger adds up",
) as dag:
    # Each kind of work by itself: a slow or stuck one keeps no other waiting.
    for task_id, pass_path in {
        "list_results": "market.jobs.output.manifests.list_results",
        "list_logs": "market.jobs.output.manifests.list_logs",
        "checksums": "market.jobs.output.manifests.compute_checksums",
        "metrics": "market.jobs.output.metrics.collect",
        "used": "market.jobs.output.used.collect",
    }.items():
        LoopTask(task_id=task_id, pass_path=pass_path, period_s=2, lock=f"housekeeping {task_id}")
    LoopTask(
        task_id="withdraw", pass_path="market.airflow.reconcile.withdraw", period_s=60, lock="housekeeping"
    )
    LoopTask(
        task_id="discard",
        pass_path="market.jobs.output.retention.discard",
        period_s=60,
        lock="discard results",
    )
    LoopTask(
        task_id="ledger", pass_path="market.credits.watch.run_pass", period_s=20, lock="watch the ledger"
    )
    LoopTask(
        task_id="publish_seals",
        pass_path="market.credits.seal_log.run_pass",
        period_s=20,
        lock="publish seals",
    )
    LoopTask(
        task_id="verify_ledger",
        pass_path="market.credits.verification.run_pass",
        period_s=60,
        lock="verify the ledger",
    )
    LoopTask(task_id="alerts", pass_path="market.kit.alerts.tidy", period_s=60, lock="tidy alerts")
    LoopTask(
        task_id="sweep",
        pass_path="market.jobs.output.brooms.sweep",
        period_s=300,
        lock="sweep shared folders",
    )
    LoopTask(
        task_id="delete_accounts",
        pass_path="market.airflow.deletion.run_pass",
        period_s=60,
        lock="delete accounts",
    )
    LoopTask(task_id="tidy", pass_path="market.airflow.retention.tidy", period_s=300, lock="tidy Airflow")
