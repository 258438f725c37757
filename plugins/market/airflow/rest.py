"""Airflow's own REST interface, as the market's administrator: what runs came to, and what is deleted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_hex, token_urlsafe
from urllib.parse import quote

import requests

from market.airflow import service_token
from market.kit import settings, tls
from market.kit.errors import ConflictError, UnavailableError
from market.people import members

log = logging.getLogger(__name__)

BATCH = 100  # Airflow answers no more at once
_TIMEOUT_S = 60
_ENDED = ["success", "failed"]
_NOT_FOUND = 404


class AirflowRest:
    """A session of the administrator's, for the minutes of its context. Methods raise UnavailableError."""

    def __enter__(self) -> AirflowRest:
        loaded = settings.load()
        self._base = loaded.url("api")
        self._session = tls.session(loaded)
        login_id = members.login_id(loaded.service.admin)
        if login_id is None:
            raise UnavailableError("The administrator has no account yet: run ./market up.")
        self._session.headers["Authorization"] = f"Bearer {service_token.of(login_id)}"
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

    def state(self, dag_id: str, run_id: str, task_id: str, map_index: int | None) -> str | None:
        """Return the state of a task of a run; None where it has none, or is no more.

        One that is not mapped has no `map_index`, or -1.
        """
        path = f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        place = f"{quote(task_id, safe='')}" + (
            f"/{map_index}" if map_index is not None and map_index >= 0 else ""
        )
        answer = self._send("GET", f"{path}/{place}")
        if answer.status_code == _NOT_FOUND:
            return None
        if not answer.ok:
            raise UnavailableError(f"Airflow does not tell a task's state ({answer.status_code}).")
        state = answer.json().get("state")
        return None if state is None else str(state)

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

    def erase_login(self, username: str) -> None:
        """Take address, shown name, roles and password from a login, for good; one that is gone has none.

        Only the username stays, so that it is not given again. Raises ConflictError if it is not done.
        """
        body = {
            "email": f"{token_hex(16)}@deleted.invalid",  # Flask-AppBuilder wants one, unlike all others
            "first_name": "deleted",
            "last_name": "account",
            "roles": [],
            "password": token_urlsafe(32),  # that nobody knows
        }
        answer = self._send("PATCH", f"/auth/fab/v1/users/{quote(username, safe='')}", json=body)
        if not answer.ok and answer.status_code != _NOT_FOUND:
            raise ConflictError(f"The login {username} is not erased ({answer.status_code}).")

    def _send(self, method: str, path: str, **options: object) -> requests.Response:
        try:
            return self._session.request(method, self._base + path, timeout=_TIMEOUT_S, **options)  # type: ignore[arg-type]
        except requests.RequestException as error:
            raise UnavailableError(f"Airflow does not answer ({type(error).__name__}).") from error
