"""Copy what the market cannot make again, when the settings say so."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from market.airflow import backup
from market.kit.settings import load

with DAG(
    dag_id="backup",
    description="Copies the database, HDFS and the secrets, as ./market backup does",
    schedule=load().backup.cron or None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
    tags=["market"],
) as dag:

    @task
    def copy() -> None:
        backup.run()

    copy()
