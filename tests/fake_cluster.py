"""Stand-ins for the ResourceManager and for Airflow, which say what a test wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from market.airflow import reconcile
from market.cluster.errors import ClusterUnavailable
from market.cluster.resourcemanager import App, Attempt
from market.jobs.life import limits, watch


@dataclass
class Yarn:
    """Answers as a ResourceManager with these applications."""

    known: dict[str, App] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)
    started_on: int = 0
    away: bool = False

    def has(self, job_id: str, state: str, **changes: Any) -> App:
        fields: dict[str, Any] = {name: 0 for name in App.__dataclass_fields__}
        fields |= {
            "application_id": f"application_{job_id}",
            "user": "alice",
            "name": "",
            "queue": "root.cpu",
        }
        fields |= {
            "final_status": "UNDEFINED",
            "diagnostics": "",
            "log_aggregation": "",
            "am_http_address": "",
        }
        app = replace(App(**(fields | {"state": state, "tags": (job_id,)})), **changes)
        self.known[app.application_id] = app
        return app

    def apps(self, states: Any = None, tags: Any = None) -> list[App]:
        if self.away:
            raise ClusterUnavailable("away")
        return [
            app
            for app in self.known.values()
            if (states is None or app.state in states) and (tags is None or set(app.tags) & set(tags))
        ]

    def app(self, application_id: str) -> App | None:
        return self.known.get(application_id)

    def attempts(self, application_id: str) -> list[Attempt]:
        return [Attempt("attempt", "container", "h:1", "h:2", "h", 1_900_000_000_000, 0)]

    def kill(self, application_id: str) -> None:
        self.killed.append(application_id)

    def info(self) -> dict[str, Any]:
        return {"startedOn": self.started_on}


class Runs:
    """What Airflow says of the runs of jobs' DAGs; a stand-in for its REST interface."""

    def __init__(self) -> None:
        self.over: set[str] = set()  # jobs

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ended(self, dag_ids: Sequence[str]) -> set[str]:
        return set(dag_ids) & {f"job_{job_id}" for job_id in self.over}


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Runs:
    made = Runs()
    monkeypatch.setattr(reconcile, "AirflowRest", lambda: made)
    return made


@pytest.fixture
def yarn(monkeypatch: pytest.MonkeyPatch) -> Yarn:
    made = Yarn()
    monkeypatch.setattr(watch, "resource_manager", lambda: made)
    limits._over.clear()
    return made
