"""YARN's ResourceManager over REST: applications, containers, nodes, labels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from market.cluster.errors import ClusterRefused
from market.cluster.http import items, send
from market.cluster.tickets import Asker

log = logging.getLogger(__name__)

T = TypeVar("T")

ALL_NODE_STATES = "NEW,RUNNING,UNHEALTHY,DECOMMISSIONING,DECOMMISSIONED,LOST,REBOOTED,SHUTDOWN"
TERMINAL = ("FINISHED", "FAILED", "KILLED")
# What nobody here reads; it is three quarters of an answer, and takes two thirds of its time.
_LEFT_OUT = "resourceRequests,timeouts,amNodeLabelExpression,appNodeLabelExpression,resourceInfo"


@dataclass(frozen=True)
class App:
    """An application. Times are epoch ms (0: not yet); `*_seconds` are YARN's own running totals."""

    application_id: str
    user: str
    name: str
    queue: str
    state: str
    final_status: str
    diagnostics: str
    tags: tuple[str, ...]
    started_ms: int
    finished_ms: int
    allocated_mib: int
    allocated_vcores: int
    running_containers: int
    memory_seconds: int
    vcore_seconds: int
    preempted_memory_seconds: int
    preempted_vcore_seconds: int
    log_aggregation: str
    am_http_address: str

    @property
    def ended(self) -> bool:
        """Tell whether it has reached a terminal state."""
        return self.state in TERMINAL


@dataclass(frozen=True)
class Attempt:
    """An attempt of an application; its container runs the driver."""

    attempt_id: str
    container_id: str
    node_id: str
    node_http: str
    host: str
    started_ms: int
    finished_ms: int


@dataclass(frozen=True)
class Container:
    """A live container."""

    container_id: str
    attempt_id: str
    node_id: str
    host: str
    node_http: str
    allocated_mib: int
    allocated_vcores: int
    started_ms: int
    state: str


@dataclass(frozen=True)
class Node:
    """A NodeManager as the ResourceManager knows it; `node_id` is host:port."""

    node_id: str
    host: str
    port: int
    state: str
    http_address: str
    total_mib: int
    total_vcores: int
    used_mib: int
    used_vcores: int
    containers: int
    labels: tuple[str, ...]
    last_health_ms: int
    health_report: str


@dataclass(frozen=True)
class Partition:
    """What a node label's machines have, what is used of it, and what waits for it."""

    label: str
    total_mib: int
    total_vcores: int
    used_mib: int
    used_vcores: int
    pending_mib: int
    pending_vcores: int


class ResourceManager:
    """A client; `asker` is who asks: the market's service account."""

    def __init__(self, base_url: str, asker: Asker) -> None:
        self._base = base_url.rstrip("/") + "/ws/v1/cluster"
        self._asker = asker

    def info(self) -> dict[str, Any]:
        """Return /info; `startedOn` changes at every start of the ResourceManager."""
        return dict(self._get("/info")["clusterInfo"])

    def apps(
        self,
        tags: Iterable[str] | None = None,
        states: Iterable[str] | None = None,
        user: str | None = None,
        started_after_ms: int | None = None,
    ) -> list[App]:
        """Return applications; without a filter all that the ResourceManager still knows."""
        query: dict[str, Any] = {"deSelects": _LEFT_OUT}
        if tags is not None:
            query["applicationTags"] = ",".join(tags)
        if states is not None:
            query["states"] = ",".join(states)
        if user is not None:
            query["user"] = user
        if started_after_ms is not None:
            query["startedTimeBegin"] = started_after_ms
        return _understood(_app, items(self._get("/apps", query), "apps", "app"))

    def app(self, application_id: str) -> App | None:
        """Return an application, or None if the ResourceManager does not know it (any more)."""
        answer = self._find(f"/apps/{quote(application_id)}")
        return _app(answer["app"]) if answer else None

    def attempts(self, application_id: str) -> list[Attempt]:
        """Return an application's attempts, oldest first."""
        answer = self._find(f"/apps/{quote(application_id)}/appattempts")
        return _understood(_attempt, items(answer, "appAttempts", "appAttempt"))

    def containers(self, application_id: str) -> list[Container]:
        """Return the live containers of all attempts."""
        containers: list[Container] = []
        for attempt in self.attempts(application_id):
            path = f"/apps/{quote(application_id)}/appattempts/{quote(attempt.attempt_id)}/containers"
            answer = self._find(path)
            rows = items(answer, "containers", "container") or items(answer, "container")
            containers += _understood(partial(_container, attempt_id=attempt.attempt_id), rows)
        return containers

    def kill(self, application_id: str) -> None:
        """Kill an application; nothing happens to one that has ended.

        Raises ClusterRefused when the ResourceManager does not know it or refuses.
        """
        path = f"/apps/{quote(application_id)}/state"
        answer = self._send("PUT", path, json={"state": "KILLED"})
        if answer.status_code not in (200, 202):
            raise ClusterRefused(f"{application_id} was not killed: {answer.text[:200]}")

    def nodes(self, states: str | None = None) -> list[Node]:
        """Return nodes, in every state unless `states` (comma-separated) says which."""
        answer = self._get("/nodes", {"states": states or ALL_NODE_STATES})
        return _understood(_node, items(answer, "nodes", "node"))

    def node(self, node_id: str) -> Node | None:
        """Return a node by host:port, or None if the ResourceManager does not know it."""
        answer = self._find(f"/nodes/{quote(node_id)}")
        return _node(answer["node"]) if answer else None

    def set_node_resource(self, node_id: str, mib: int, vcores: int, timeout_ms: int = -1) -> None:
        """Set a node's size; with a negative timeout what runs there may end first."""
        body = {"resource": {"memory": mib, "vCores": vcores}, "overCommitTimeout": timeout_ms}
        self._change("POST", f"/nodes/{quote(node_id)}/resource", body)

    def labels(self) -> list[str]:
        """Return the labels that exist."""
        return [str(label["name"]) for label in items(self._get("/get-node-labels"), "nodeLabelInfo")]

    def add_labels(self, names: Iterable[str]) -> None:
        """Add exclusive labels: only requests that name a label get its machines."""
        infos = [{"name": name, "exclusivity": True} for name in names]
        self._change("POST", "/add-node-labels", {"nodeLabelInfo": infos})

    def replace_labels(self, by_node: Mapping[str, list[str]]) -> None:
        """Set the labels of nodes, by host and port."""
        pairs = [{"nodeId": node, "labels": labels} for node, labels in by_node.items()]
        self._change("POST", "/replace-node-to-labels", {"nodeToLabels": pairs})

    def node_labels(self) -> dict[str, tuple[str, ...]]:
        """Return the labels that are set for each host and port."""
        entries = items(self._get("/get-node-to-labels"), "nodeToLabels", "entry")
        return {
            str(entry["key"]): tuple(str(label["name"]) for label in items(entry, "value", "nodeLabelInfo"))
            for entry in entries
        }

    def scheduler(self) -> dict[str, Any]:
        """Return /scheduler as it is."""
        return dict(self._get("/scheduler"))

    def partitions(self) -> dict[str, Partition]:
        """Return supply and demand by node label: nodes give the first, waiting requests the second."""
        sums: dict[str, list[int]] = {}
        for node in self.nodes("RUNNING"):
            label = node.labels[0] if node.labels else ""
            line = sums.setdefault(label, [0] * 6)
            amounts = (node.total_mib, node.total_vcores, node.used_mib, node.used_vcores)
            for place, amount in enumerate(amounts):
                line[place] += amount
        for label, (mib, vcores) in self._pending().items():
            line = sums.setdefault(label, [0] * 6)
            line[4] += mib
            line[5] += vcores
        return {label: Partition(label, *line) for label, line in sums.items()}

    def _pending(self) -> dict[str, tuple[int, int]]:
        """Return what waits for each partition, from the leaf queues (/metrics omits labelled ones)."""
        pending: dict[str, tuple[int, int]] = {}
        for queue in _leaves(self.scheduler().get("scheduler", {}).get("schedulerInfo", {})):
            resources = queue.get("resources") or {}
            for usage in items(resources, "resourceUsagesByPartition"):
                label = str(usage.get("partitionName") or "")
                waiting = usage.get("pending") or {}
                mib, vcores = pending.get(label, (0, 0))
                pending[label] = (mib + _number(waiting, "memory"), vcores + _number(waiting, "vCores"))
        return pending

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        answer = self._send("GET", path, params=query)
        if answer.status_code != 200:
            raise ClusterRefused(f"the ResourceManager refused {path}: {answer.text[:200]}")
        return answer.json()

    def _find(self, path: str) -> Any:
        answer = self._send("GET", path)
        if answer.status_code in (400, 404):
            return None
        if answer.status_code != 200:
            raise ClusterRefused(f"the ResourceManager refused {path}: {answer.text[:200]}")
        return answer.json()

    def _change(self, method: str, path: str, body: object) -> None:
        answer = self._send(method, path, json=body)
        if answer.status_code not in (200, 202):
            raise ClusterRefused(f"the ResourceManager refused {path}: {answer.text[:200]}")

    def _send(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Accept": "application/json"}
        return send(method, self._base + path, asker=self._asker, headers=headers, **options)


def _understood(make: Callable[[Mapping[str, Any]], T], rows: Iterable[Mapping[str, Any]]) -> list[T]:
    """Return what rows say, without those that cannot be read: one of them hides no other."""
    made = []
    for row in rows:
        try:
            made.append(make(row))
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
            log.warning("a row of the ResourceManager is not understood (%r): %.300r", error, row)
    return made


def _leaves(queue: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    children = items(queue, "queues", "queue")
    if not children:
        return [queue]
    return [leaf for child in children for leaf in _leaves(child)]


def _number(row: Mapping[str, Any], name: str) -> int:
    """Return a count; YARN writes -1 for "none any more"."""
    return max(0, int(row.get(name) or 0))


def _app(row: Mapping[str, Any]) -> App:
    tags = str(row.get("applicationTags") or "")
    return App(
        application_id=str(row["id"]),
        user=str(row.get("user", "")),
        name=str(row.get("name", "")),
        queue=str(row.get("queue", "")),
        state=str(row.get("state", "")),
        final_status=str(row.get("finalStatus", "")),
        diagnostics=str(row.get("diagnostics") or ""),
        tags=tuple(tag for tag in tags.split(",") if tag),
        started_ms=_number(row, "startedTime"),
        finished_ms=_number(row, "finishedTime"),
        allocated_mib=_number(row, "allocatedMB"),
        allocated_vcores=_number(row, "allocatedVCores"),
        running_containers=_number(row, "runningContainers"),
        memory_seconds=_number(row, "memorySeconds"),
        vcore_seconds=_number(row, "vcoreSeconds"),
        preempted_memory_seconds=_number(row, "preemptedMemorySeconds"),
        preempted_vcore_seconds=_number(row, "preemptedVcoreSeconds"),
        log_aggregation=str(row.get("logAggregationStatus") or ""),
        am_http_address=str(row.get("amHostHttpAddress") or ""),
    )


def _attempt(row: Mapping[str, Any]) -> Attempt:
    node_id = str(row.get("nodeId") or "")
    return Attempt(
        attempt_id=str(row.get("appAttemptId") or row.get("id") or ""),
        container_id=str(row.get("containerId") or ""),
        node_id=node_id,
        node_http=str(row.get("nodeHttpAddress") or ""),
        host=node_id.rsplit(":", 1)[0],
        started_ms=_number(row, "startTime"),
        finished_ms=_number(row, "finishedTime"),
    )


def _container(row: Mapping[str, Any], attempt_id: str) -> Container:
    node_id = str(row.get("nodeId") or row.get("assignedNodeId") or "")
    address = str(row.get("nodeHttpAddress") or "")
    return Container(
        container_id=str(row.get("containerId") or row.get("id")),
        attempt_id=attempt_id,
        node_id=node_id,
        host=node_id.rsplit(":", 1)[0],
        node_http=address.removeprefix("http://"),
        allocated_mib=_number(row, "allocatedMB"),
        allocated_vcores=_number(row, "allocatedVCores"),
        started_ms=_number(row, "startedTime"),
        state=str(row.get("containerState") or row.get("state") or ""),
    )


def _node(row: Mapping[str, Any]) -> Node:
    node_id = str(row["id"])
    host, port = node_id.rsplit(":", 1)
    used_mib, used_vcores = _number(row, "usedMemoryMB"), _number(row, "usedVirtualCores")
    labels = row.get("nodeLabels") or []
    # A node that was made smaller than what runs there has less than nothing available.
    total = row.get("totalResource") or {}
    return Node(
        node_id=node_id,
        host=host,
        port=int(port),
        state=str(row.get("state", "")),
        http_address=str(row.get("nodeHTTPAddress") or ""),
        total_mib=int(total.get("memory", used_mib + _number(row, "availMemoryMB"))),
        total_vcores=int(total.get("vCores", used_vcores + _number(row, "availableVirtualCores"))),
        used_mib=used_mib,
        used_vcores=used_vcores,
        containers=_number(row, "numContainers"),
        labels=tuple(map(str, labels if isinstance(labels, list) else [labels])),
        last_health_ms=_number(row, "lastHealthUpdate"),
        health_report=str(row.get("healthReport") or ""),
    )
