"""A pass of the roster over many registered machines, at a simulated ResourceManager and a real database.

`.market/airflow-env/bin/python bench/roster.py [--machines 100,5000] [--passes 20]`
Side by side, in one run: few machines and many (goal: 5 000 in under 5 s, memory flat over the passes). The
ResourceManager is played over HTTP, so that its answers are read and parsed as real ones; the database is a
PostgreSQL of its own, in a temporary folder. Measured: the pass in which all machines become active, the
one in which all get a new size, and passes in which nothing happens.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import clone  # noqa: F401

# isort: split

import psycopg2
from servers import database

from market.cluster.resourcemanager import ResourceManager
from market.cluster.tickets import Named
from market.hadoop.site import admission_lists
from market.kit import clock
from market.kit.settings import load
from market.machines import roster
from market.machines.admission import HostLists
from market.ops.database import migrate, postgres

_CORES, _MIB = 4, 8192


@dataclass
class Yarn:
    """The nodes of a ResourceManager, by host:port."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    changes: int = 0

    def join(self, host: str) -> None:
        """Have a NodeManager register."""
        self.nodes[f"{host}:8041"] = {
            "id": f"{host}:8041",
            "rack": "/default-rack",
            "state": "RUNNING",
            "nodeHostName": host,
            "nodeHTTPAddress": f"{host}:8042",
            "lastHealthUpdate": 0,
            "version": "3.5.0",
            "healthReport": "",
            "numContainers": 0,
            "usedMemoryMB": 0,
            "availMemoryMB": _MIB,
            "usedVirtualCores": 0,
            "availableVirtualCores": _CORES,
            "nodeLabels": [],
            "totalResource": {"memory": _MIB, "vCores": _CORES},
        }

    def answer(self, path: str, body: Any) -> Any:
        """Answer a request as the ResourceManager does."""
        path = path.partition("?")[0].removeprefix("/ws/v1/cluster")
        if path == "/info":
            return {"clusterInfo": {"startedOn": 1}}
        if path == "/nodes":
            return {"nodes": {"node": list(self.nodes.values())}}
        if path == "/get-node-labels":
            return {"nodeLabelInfo": [{"name": name} for name in self.labels]}
        if path == "/add-node-labels":
            self.labels |= {one["name"] for one in body["nodeLabelInfo"]}
        elif path == "/replace-node-to-labels":
            for one in body["nodeToLabels"]:
                self.nodes[one["nodeId"]]["nodeLabels"] = one["labels"]
        else:  # /nodes/{node}/resource
            self.nodes[path.split("/")[2].replace("%3A", ":")]["totalResource"] = body["resource"]
        self.changes += 1
        return {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", default="100,5000", help="numbers of machines to measure with")
    parser.add_argument("--passes", type=int, default=20, help="passes in which nothing happens")
    chosen = parser.parse_args()
    print(
        "machines   join s  resize s   idle p50 s   idle max s   for each 1000   memory MiB, first and last"
    )
    for number in map(int, chosen.machines.split(",")):
        with tempfile.TemporaryDirectory(prefix="roster-") as folder, database(Path(folder)) as server:
            server.migrate()
            os.environ["MARKET_DATABASE_URL"] = server.url(migrate.APPLICATION)
            print(_measured(server.url(postgres.SUPERUSER), Path(folder), number, chosen.passes), flush=True)


def _measured(superuser: str, folder: Path, number: int, passes: int) -> str:
    yarn = Yarn()
    served = _serve(yarn)
    settings = load()
    settings = replace(settings, paths=replace(settings.paths, state=folder))
    admission_lists(settings).mkdir(parents=True)
    lists = HostLists(settings, lambda timeout_s: None)
    rm = ResourceManager(f"http://127.0.0.1:{served.server_port}", Named(settings.service.account))

    def turn() -> float:
        began = time.perf_counter()
        roster.watch(rm, lists, settings, clock.now_ms())
        return time.perf_counter() - began

    hosts = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(number)]
    _register(superuser, hosts)
    turn()
    for host in hosts:
        yarn.join(host)
    join = turn()
    assert _states(superuser) == {"active": number}
    _sql(superuser, "UPDATE market.machine SET core_count = core_count - 1, past_sizes = '{4x8192}'")
    resize = turn()
    assert all(one["totalResource"]["vCores"] == _CORES - 1 for one in yarn.nodes.values())
    before, changes = _memory_mib(), yarn.changes
    idle = [turn() for _ in range(passes)]
    assert yarn.changes == changes
    assert _states(superuser) == {"active": number}
    served.shutdown()
    middle = statistics.median(idle)
    return (
        f"{number:8}  {join:7.2f}  {resize:8.2f}  {middle:11.3f}  {max(idle):11.3f}"
        f"  {middle * 1000 / number:14.3f}   {before:.0f} {_memory_mib():.0f}"
    )


def _register(superuser: str, hosts: list[str]) -> None:
    at = clock.now_ms()
    _sql(superuser, "INSERT INTO market.member VALUES (repeat('a', 32), 1, 'anna', 'a@example.org', 0)")
    _sql(
        superuser,
        "INSERT INTO market.machine (machine_id, user_id, machine_type, display_name, ip_address,"
        " service_port, core_count, memory_mib, time_period_s, state, created_ms, joined_ms, lease_end_ms)"
        " SELECT md5(host), repeat('a', 32), 'cpu', host, host, 8041, %s, %s, 86400, 'joining', %s, %s, %s"
        " FROM unnest(%s) host",
        *(_CORES, _MIB, at, at, at + 86_400_000, hosts),
    )


def _states(superuser: str) -> dict[str, int]:
    return dict(_sql(superuser, "SELECT state, count(*) FROM market.machine GROUP BY 1"))


def _sql(url: str, statement: str, *values: Any) -> list[Any]:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        found = cursor.fetchall() if cursor.description else []
    connection.close()
    return found


def _memory_mib() -> float:
    text = Path("/proc/self/statm").read_text().split()[1]
    return int(text) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _serve(yarn: Yarn) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            answer = json.dumps(yarn.answer(self.path, body)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    main()
