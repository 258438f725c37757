"""Tell people what they chose to be told of: by mail and by webhooks."""
# Airflow reads files only that name it.

from market.airflow.loops import LoopTask, loop_dag

with loop_dag("notifications", "Publishes events, and delivers them by mail and to webhooks") as dag:
    # Webhooks are other people's servers: while one is slow, the other loops go on.
    for task_id, pass_path in {
        "publish": "market.notifications.outbox.run_pass",
        "mails": "market.notifications.delivering.run_mails",
        "account_mails": "market.people.mailing.run",
        "webhooks_1": "market.notifications.delivering.run_webhooks",
        "webhooks_2": "market.notifications.delivering.run_webhooks",
        "webhooks_3": "market.notifications.delivering.run_webhooks",
    }.items():
        LoopTask(task_id=task_id, pass_path=pass_path, period_s=1, lock=f"notifications {task_id}")
    LoopTask(
        task_id="prune", pass_path="market.notifications.outbox.prune", period_s=300, lock="prune events"
    )
