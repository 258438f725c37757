"""Stand-ins for the ResourceManager and for Airflow, which say what a test wants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from market.airflow import reconcile
from market.cluster.errors import ClusterUnavailable
from market.cluster.resourcemanager import App, Attempt, Container
from market.jobs import folder
from market.jobs.intake import packages, program
from market.jobs.life import diagnosis, limits, orphans, watch
from market.jobs.submission import applications


@dataclass
class Yarn:
    """Answers as a ResourceManager with these applications."""

    known: dict[str, App] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)
    started_on: int = 0
    away: bool = False
    live: dict[str, list[Container]] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)  # nodes and their states
    forgotten: dict[str, App] = field(default_factory=dict)  # what the file of summaries has
    read: int = 0  # how often that file was read

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

    def containers(self, application_id: str) -> list[Container]:
        return self.live.get(application_id, [])

    def nodes(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(node_id=node_id, state=state) for node_id, state in self.members.items()]

    def sums_up(self, job_id: str, state: str, **changes: Any) -> App:
        """Forget an application that has ended, with a line in the file of summaries."""
        app = self.has(job_id, state, **changes)
        self.forgotten[app.application_id] = self.known.pop(app.application_id)
        return app

    def by_id(self, application_ids: Iterable[str]) -> dict[str, App]:
        self.read += 1
        return {name: self.forgotten[name] for name in application_ids if name in self.forgotten}

    def with_tag(self, tag: str) -> App | None:
        return next((app for app in self.forgotten.values() if tag in app.tags), None)

    def kill(self, application_id: str) -> None:
        self.killed.append(application_id)

    def info(self) -> dict[str, Any]:
        return {"startedOn": self.started_on}


@dataclass
class Folders:
    """A name space of HDFS: the paths that are there."""

    there: set[str] = field(default_factory=set)

    def as_user(self, _name: str) -> Folders:
        return self

    def status(self, path: str) -> None:
        assert path not in self.there, "no test has asked for what is there yet"

    def mkdirs(self, path: str, permission: str = "755") -> None:
        self.there.add(path)

    def set_owner(self, path: str, owner: str, group: str | None = None) -> None:
        assert path in self.there

    def set_quota(self, path: str, names: int, space_bytes: int) -> None:
        assert path in self.there

    def open(self, path: str) -> Iterator[bytes]:
        return iter([path.encode()])

    def create(self, path: str, chunks: Iterable[bytes]) -> None:
        self.there.add(path)

    def delete(self, path: str, recursive: bool = False) -> bool:
        gone = {name for name in self.there if name == path or name.startswith(f"{path}/")}
        self.there -= gone
        return bool(gone)


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
    for module in (watch, orphans, applications):
        monkeypatch.setattr(module, "resource_manager", lambda: made)
    for module in (watch, applications):
        monkeypatch.setattr(module, "ended_applications", lambda: made)
    orphans._gone_since.clear()
    limits._over.clear()
    diagnosis._questions.clear()
    return made


@pytest.fixture
def lone_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everybody's folders hold a program, main.py, and nothing beside it."""
    monkeypatch.setattr(program, "entry_file", lambda *_: "main.py")
    monkeypatch.setattr(folder, "beside", lambda *_: [])
    monkeypatch.setattr(packages, "hdfs", Folders)
