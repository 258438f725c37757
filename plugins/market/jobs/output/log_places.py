"""Where the log files of a run's containers are: first on the machines, after its end at the log server.

Between the two lies a moment in which a machine hands over: it deletes files while the log server does not
know them yet. So whoever wants a file asks each of them when the other has nothing, and for some seconds both
again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from market.cluster.clients import job_history, node_manager, resource_manager
from market.cluster.container_logs import LogFile
from market.cluster.errors import ClusterUnavailable
from market.jobs.runs import Run
from market.kit import database
from market.kit.clock import now_ms
from market.kit.vocabulary import DRIVER, EXECUTOR

_CONTAINER = re.compile(r"container_(?:e\d+_)?(\d+_\d+)_(\d+)_(\d+)")
# What a container used, as its first process wrote it: the `FILE` of the client's agent/usage.py.
USAGE = "market-usage.json"
# They show the environment of the machine and of the launch, or figures of it, and nothing of the program.
HIDDEN = frozenset({"launch_container.sh", "directory.info", "prelaunch.err", "prelaunch.out", USAGE})
# Machines are asked for logs of an ended application for this long: then they have handed over, or are lost.
_HANDOVER_MS = 10 * 60_000
# A file may be with nobody for a moment: so long after an end it is waited for, if need be, for so long.
_MOMENT_MS, _PATIENCE_S, _PAUSE_S = 30_000, 3.0, 0.2

# One machine is asked by one thread for each list that is made. A list waits no longer than this for all of
# them together, and is then one of what the others have.
_LIST_S = 10.0
_asking = ThreadPoolExecutor(max_workers=32, thread_name_prefix="logs")
_PORTS = range(1024, 1 << 16)  # that a machine's agent may choose


@dataclass(frozen=True)
class Place:
    """Where a container ran; `host` empty: the meter has not seen it yet."""

    container_id: str
    node_id: str
    host: str = ""


def application_of(container_id: str) -> str | None:
    """Return the application that a container belongs to; None for what is no container's id."""
    match = _CONTAINER.fullmatch(container_id)
    return f"application_{match.group(1)}" if match else None


def role(container_id: str) -> str:
    """Return `driver` for an attempt's first container, which YARN starts the application with."""
    return DRIVER if order(container_id)[2] == 1 else EXECUTOR


def order(container_id: str) -> tuple[bool, int, int]:
    """Return what sorts containers: the driver's first, then by attempt and number."""
    match = _CONTAINER.fullmatch(container_id)
    attempt, number = (int(match.group(2)), int(match.group(3))) if match else (0, 0)
    return number != 1, attempt, number


def just_ended(run: Run) -> bool:
    """Tell whether machines may still have files of an ended run."""
    return run.ended_ms is not None and now_ms() - run.ended_ms < _HANDOVER_MS


def tries(run: Run) -> Iterator[None]:
    """Yield once, and again for a while where the files may be with nobody just now."""
    yield
    recent = run.ended_ms is not None and now_ms() - run.ended_ms < _MOMENT_MS
    until = time.monotonic() + (_PATIENCE_S if recent else 0)
    while time.monotonic() < until:
        time.sleep(_PAUSE_S)
        yield


def known(run: Run) -> dict[str, Place]:
    """Return the containers that are known: the meter's, and while there may be newer ones YARN's."""
    places = metered(run)
    if run.application_id and (not run.ended or just_ended(run)):
        client = resource_manager()
        executors = [(live.container_id, live.node_id) for live in client.containers(run.application_id)]
        drivers = [(attempt.container_id, attempt.node_id) for attempt in client.attempts(run.application_id)]
        for container_id, node_id in drivers + executors:
            if container_id and node_id and container_id not in places:
                places[container_id] = Place(container_id, node_id)
    return places


def metered(run: Run) -> dict[str, Place]:
    """Return the containers that the meter has seen."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT container_id, node_id, host FROM container_usage"
            " WHERE job_id = %s AND application_id = %s",
            [run.job_id, run.application_id],
        )
        return {row.container_id: Place(row.container_id, row.node_id, row.host) for row in cursor.fetchall()}


def collected(run: Run, places: dict[str, Place]) -> dict[str, list[LogFile]]:
    """Return the collected files by container; containers that nobody knew are added to `places`."""
    by_container = job_history().log_files(run.application_id or "")
    for container_id, (node_id, _) in by_container.items():
        places.setdefault(container_id, Place(container_id, node_id))
    return {
        container_id: files
        for container_id, (_, files) in by_container.items()
        if _CONTAINER.fullmatch(container_id)
    }


def local(places: list[Place]) -> dict[str, list[LogFile]]:
    """Return the files that machines still have, by container; a machine that is away, or slow, has none."""
    addresses = _addresses({place.node_id for place in places})
    of_machine: dict[str, list[Place]] = {}
    for place in places:
        if place.node_id in addresses:
            of_machine.setdefault(place.node_id, []).append(place)
    found: dict[str, list[LogFile]] = {}
    until = time.monotonic() + _LIST_S

    def ask(node_id: str) -> None:
        client = node_manager(addresses[node_id])
        for place in of_machine[node_id]:
            if time.monotonic() > until:
                return
            try:
                files = client.log_files(place.container_id)
            except ClusterUnavailable:
                return
            if files is not None:
                found[place.container_id] = files

    asked = [_asking.submit(ask, node_id) for node_id in of_machine]
    wait(asked, timeout=_LIST_S)
    for question in asked:
        question.cancel()  # it has not begun
    return dict(found)


def address(run: Run, place: Place) -> str | None:
    """Return where the container's NodeManager answers; None if it is not known, or away."""
    if not place.node_id:
        place = known(run).get(place.container_id, place)
    return _addresses({place.node_id}).get(place.node_id)


def _addresses(node_ids: set[str]) -> dict[str, str]:
    """Return where the NodeManagers of these nodes answer, by node.

    The address is the registered machine's. A node says itself at which port of it, and nothing else of what
    it says counts: it could name any server.
    """
    client = resource_manager()
    nodes = {node_id: client.node(node_id) for node_id in node_ids if node_id}
    said = {node_id: node.http_address for node_id, node in nodes.items() if node and node.http_address}
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT DISTINCT ip_address || ':' || service_port AS node_id, ip_address FROM machine"
            " WHERE ip_address || ':' || service_port = ANY (%s)",
            [list(said)],
        )
        registered = {row.node_id: row.ip_address for row in cursor.fetchall()}
    ports = {node_id: http_address.rpartition(":")[2] for node_id, http_address in said.items()}
    return {
        node_id: f"{registered[node_id]}:{port}"
        for node_id, port in ports.items()
        if node_id in registered and port.isdecimal() and int(port) in _PORTS
    }


def display_names(places: Iterable[Place]) -> dict[str, str]:
    """Return the display names of the machines by container."""
    places = list(places)
    pairs = {
        tuple(place.node_id.rsplit(":", 1)) for place in places if not place.host and ":" in place.node_id
    }
    names: dict[str, str] = {}
    if pairs:
        with database.transaction() as cursor:
            cursor.execute(
                "SELECT DISTINCT ON (ip_address, service_port) ip_address || ':' || service_port AS node_id,"
                " display_name FROM machine WHERE (ip_address, service_port::text) IN %s"
                " ORDER BY ip_address, service_port, created_ms DESC",
                [tuple(pairs)],
            )
            names = {row.node_id: row.display_name for row in cursor.fetchall()}
    return {place.container_id: place.host or names.get(place.node_id, "a machine") for place in places}
