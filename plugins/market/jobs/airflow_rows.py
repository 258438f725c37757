"""Airflow's rows of the past: deleted through its own REST interface, as the market's administrator.

A job's DAG keeps some dozen rows for ever, and each of the market's own loops makes a run every quarter of
an hour; Airflow's lists read all of them.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from urllib.parse import quote

import requests

from market import db, settings
from market.clock import now_ms
from market.errors import UnavailableError

log = logging.getLogger(__name__)

OWN_DAGS = (
    *("cluster_meter", "credit_settlement", "housekeeping", "job_reconciler"),
    *("machine_roster", "machine_verification"),
)
_BATCH = 100
_TIMEOUT_S = 60


def tidy() -> None:
    """Delete the DAGs of jobs and the runs of the market's own DAGs that are older than the settings.

    Some at a time: what is left is taken by the next pass. Raises UnavailableError.
    """
    kept, now = settings.load().jobs, now_ms()
    with db.transaction() as cursor:
        cursor.execute(
            "SELECT job_id FROM job WHERE withdrawn AND dag_deleted_ms IS NULL AND ended_ms < %s"
            " ORDER BY ended_ms LIMIT %s",
            [now - kept.dag_retention_s * 1000, _BATCH],
        )
        jobs = [row.job_id for row in cursor.fetchall()]
    with _Airflow() as airflow:
        for job_id in jobs:
            if airflow.delete(f"/dags/job_{job_id}"):
                with db.transaction() as cursor:
                    cursor.execute("UPDATE job SET dag_deleted_ms = %s WHERE job_id = %s", [now_ms(), job_id])
        for dag_id in OWN_DAGS:
            for run_id in airflow.ended_runs(dag_id, now - kept.run_retention_s * 1000):
                airflow.delete(f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")
    forget_answers()


def forget_answers() -> None:
    """Delete the kept answers to requests with an `Idempotency-Key` that are older than a day."""
    with db.transaction() as cursor:
        cursor.execute("DELETE FROM idempotency WHERE created_ms < %s", [now_ms() - 86_400_000])


class _Airflow:
    """Airflow's REST interface, logged in as the administrator."""

    def __enter__(self) -> _Airflow:
        loaded = settings.load()
        self._base = loaded.url("api")
        self._session = requests.Session()
        self._session.trust_env = False
        login = {"username": loaded.service.admin, "password": loaded.secret("admin_password")}
        answer = self._send("POST", "/auth/token", json=login)
        if answer.status_code != 201:
            raise UnavailableError(f"Airflow refuses the administrator's login ({answer.status_code}).")
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def ended_runs(self, dag_id: str, before_ms: int) -> list[str]:
        """Return the ids of some runs that ended before a time."""
        query = {
            "end_date_lte": datetime.fromtimestamp(before_ms / 1000, UTC).isoformat(),
            "state": ["success", "failed"],
            "limit": str(_BATCH),
            "order_by": "id",
        }
        answer = self._send("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=query)
        return [str(run["dag_run_id"]) for run in answer.json().get("dag_runs", [])] if answer.ok else []

    def delete(self, path: str) -> bool:
        """Delete something; tell whether it is gone."""
        answer = self._send("DELETE", f"/api/v2{path}")
        if answer.status_code not in (200, 204, 404):
            log.warning("%s is not deleted: %s %s", path, answer.status_code, answer.text[:200])
            return False
        return True

    def _send(self, method: str, path: str, **options: object) -> requests.Response:
        try:
            return self._session.request(method, self._base + path, timeout=_TIMEOUT_S, **options)  # type: ignore[arg-type]
        except requests.RequestException as error:
            raise UnavailableError(f"Airflow does not answer ({type(error).__name__}).") from error
