"""Airflow's own REST interface, as the market's administrator: what runs of jobs came to, and deletion."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import requests

from market.kit import settings
from market.kit.errors import UnavailableError

log = logging.getLogger(__name__)

BATCH = 100  # Airflow answers no more at once
_TIMEOUT_S = 60
_ENDED = ["success", "failed"]


class AirflowRest:
    """A session, logged in while the context lasts. Every method raises UnavailableError."""

    def __enter__(self) -> AirflowRest:
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

    def ended(self, dag_ids: Sequence[str]) -> set[str]:
        """Return those of the DAGs, each of which runs once, whose run has ended."""
        ended: set[str] = set()
        for first in range(0, len(dag_ids), BATCH):
            query = {"dag_ids": dag_ids[first : first + BATCH], "states": _ENDED, "page_limit": BATCH}
            answer = self._send("POST", "/api/v2/dags/~/dagRuns/list", json=query)
            if not answer.ok:
                raise UnavailableError(f"Airflow does not list runs ({answer.status_code}).")
            ended.update(str(run["dag_id"]) for run in answer.json()["dag_runs"])
        return ended

    def ended_runs(self, dag_id: str, before_ms: int) -> list[str]:
        """Return the ids of some runs that ended before a time."""
        query = {
            "end_date_lte": datetime.fromtimestamp(before_ms / 1000, UTC).isoformat(),
            "state": _ENDED,
            "limit": str(BATCH),
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
