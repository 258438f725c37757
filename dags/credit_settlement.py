"""Charge buyers and pay lenders for each interval of the schedule, one after the other."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, task

from market.airflow import settlement
from market.credits.settlement import steps
from market.kit.settings import load

with DAG(
    dag_id="credit_settlement",
    description="Captures what jobs used, pays the machines' owners, sets the rate and seals the interval",
    schedule=CronDataIntervalTimetable(load().credits.settlement_cron, timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    # Intervals are rows of the ledger, and the first task closes all that are due. So after three days down
    # one run is enough, where Airflow's catch-up would make 864.
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=20)},
    tags=["market"],
) as dag:

    @task
    def freeze(data_interval_end: datetime | None = None) -> int:
        return settlement.freeze(data_interval_end)

    @task
    def price(interval_id: int) -> None:
        steps.price(interval_id)

    @task
    def capture(interval_id: int) -> None:
        steps.capture(interval_id)

    @task
    def pay(interval_id: int) -> None:
        steps.pay(interval_id)

    @task
    def reconcile(interval_id: int) -> None:
        settlement.reconcile(interval_id)

    @task
    def seal(interval_id: int) -> None:
        settlement.seal(interval_id)

    interval = freeze()
    (
        interval
        >> price(interval)
        >> capture(interval)
        >> pay(interval)
        >> reconcile(interval)
        >> seal(interval)
    )
