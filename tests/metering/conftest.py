"""The ledger's server and world, and a ResourceManager that says what a test tells it to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ledger_world import T0, World

from market.cluster.resourcemanager import App, Attempt, Container, Node, Partition

APP = App(
    *("application_1_0001", "user1", "digits", "cpu", "RUNNING", "UNDEFINED", "", ()),
    **dict.fromkeys(("started_ms", "finished_ms", "allocated_mib", "allocated_vcores"), 0),
    **dict.fromkeys(("running_containers", "memory_seconds", "vcore_seconds"), 0),
    **dict.fromkeys(("preempted_memory_seconds", "preempted_vcore_seconds"), 0),
    log_aggregation="",
    am_http_address="",
)


@dataclass
class FakeResourceManager:
    """Answers from its fields; counts the requests."""

    world: World
    started_on: int
    listed: dict[str, App] = field(default_factory=dict)
    live: dict[str, list[Container]] = field(default_factory=dict)
    tried: dict[str, list[Attempt]] = field(default_factory=dict)
    members: dict[str, Node] = field(default_factory=dict)
    requests: int = 0
    killed: list[str] = field(default_factory=list)

    def kill(self, application_id: str) -> None:
        self.killed.append(application_id)

    def info(self) -> dict[str, Any]:
        self.requests += 1
        return {"startedOn": self.started_on}

    def apps(self, states: Iterable[str] | None = None, started_after_ms: int | None = None) -> list[App]:
        self.requests += 1
        return [
            app
            for app in self.listed.values()
            if (states is None or app.state in states) and app.started_ms >= (started_after_ms or 0)
        ]

    def app(self, application_id: str) -> App | None:
        self.requests += 1
        return self.listed.get(application_id)

    def containers(self, application_id: str) -> list[Container]:
        self.requests += 1
        return self.live.get(application_id, [])

    def attempts(self, application_id: str) -> list[Attempt]:
        self.requests += 1
        return self.tried.get(application_id, [])

    def nodes(self) -> list[Node]:
        self.requests += 1
        return list(self.members.values())

    def partitions(self) -> dict[str, Partition]:
        self.requests += 1
        return {"cpu": Partition("cpu", 8192, 8, 1024, 1, 512, 1)}

    def run(self, job_id: str, started_ms: int, application_id: str = APP.application_id) -> None:
        """Let an application run for a job; the market has not stored which it is."""
        self.world.sql("UPDATE run SET application_id = NULL WHERE job_id = %s", job_id)
        self.listed[application_id] = replace(
            APP, application_id=application_id, tags=("spark", job_id), started_ms=started_ms
        )
        self._count()

    def change(self, application_id: str = APP.application_id, **values: Any) -> None:
        """Let an application's figures be others."""
        self.listed[application_id] = replace(self.listed[application_id], **values)

    def start(
        self, number: int, node_id: str, started_ms: int, attempt: int = 1, mib: int = 1024, vcores: int = 1
    ) -> str:
        """Let a container run for the first application."""
        container_id = f"container_1_0001_{attempt:02}_{number:06}"
        self.live.setdefault(APP.application_id, []).append(
            Container(
                *(container_id, f"appattempt_1_0001_{attempt:06}", node_id, node_id.split(":")[0], ""),
                *(mib, vcores, started_ms, "RUNNING"),
            )
        )
        self._count()
        return container_id

    def stop(self, container_id: str) -> None:
        """Let a container be gone."""
        kept = [
            container for container in self.live[APP.application_id] if container.container_id != container_id
        ]
        self.live[APP.application_id] = kept
        self._count()

    def node(self, node_id: str, state: str = "RUNNING") -> None:
        """Let a node be in this state."""
        host, port = node_id.split(":")
        self.members[node_id] = Node(node_id, host, int(port), state, "", 8192, 8, 0, 0, 0, ("cpu",), 0, "")

    def end(
        self, at_ms: int, state: str = "FINISHED", final_status: str = "SUCCEEDED", **values: Any
    ) -> None:
        """Let the first application end."""
        self.live[APP.application_id] = []
        self._count()
        self.change(state=state, final_status=final_status, finished_ms=at_ms, **values)

    def _count(self) -> None:
        for application_id in self.listed:
            self.change(application_id, running_containers=len(self.live.get(application_id, [])))


@pytest.fixture
def rm(world: World) -> FakeResourceManager:
    return FakeResourceManager(world, started_on=T0 - 3_600_000)
