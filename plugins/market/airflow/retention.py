"""Airflow's rows of the past: deleted through its own REST interface.

A job's DAG keeps some dozen rows for ever, and each of the market's own loops makes a run every quarter of
an hour; Airflow's lists read all of them.
"""

from __future__ import annotations

from urllib.parse import quote

from market.airflow.rest import BATCH, AirflowRest
from market.jobs.store import dag_id_of
from market.kit import database, isolation, settings
from market.kit.clock import now_ms
from market.kit.errors import ConflictError

OWN_DAGS = (
    *("backup", "cluster_meter", "credit_settlement", "housekeeping", "job_reconciler"),
    *("machine_roster", "machine_verification", "notifications"),
)
_DAGS = "deleting DAGs"


def tidy() -> None:
    """Delete the DAGs of jobs and the runs of the market's own DAGs that are older than the settings.

    Some at a time: what is left is taken by the next pass. Raises UnavailableError.
    """
    kept, now = settings.load().jobs, now_ms()
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id FROM job WHERE withdrawn AND dag_deleted_ms IS NULL AND ended_ms < %s"  # noqa: S608 - own words
            f" AND {isolation.due('job_id')} ORDER BY ended_ms LIMIT %s",
            [now - kept.dag_retention_s * 1000, _DAGS, now, BATCH],
        )
        jobs = [row.job_id for row in cursor.fetchall()]
    with AirflowRest() as airflow:

        def delete_dag(job_id: str) -> None:
            _delete(airflow, f"/dags/{dag_id_of(job_id)}")
            with database.transaction() as cursor:
                cursor.execute("UPDATE job SET dag_deleted_ms = %s WHERE job_id = %s", [now_ms(), job_id])

        def delete_runs(dag_id: str) -> None:
            for run_id in airflow.ended_runs(dag_id, now - kept.run_retention_s * 1000):
                _delete(airflow, f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")

        isolation.each(_DAGS, jobs, delete_dag, str)
        isolation.each("deleting runs of Airflow", OWN_DAGS, delete_runs, str)
    forget_answers()
    isolation.forget_old()


def _delete(airflow: AirflowRest, path: str) -> None:
    if not airflow.delete(path):
        raise ConflictError(f"Airflow does not delete {path}")


def forget_answers() -> None:
    """Delete the kept answers to requests with an `Idempotency-Key` that are older than a day."""
    with database.transaction() as cursor:
        cursor.execute("DELETE FROM idempotency WHERE created_ms < %s", [now_ms() - 86_400_000])
