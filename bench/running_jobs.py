"""A thousand running jobs, followed by one triggerer's watch at a simulated ResourceManager.

`.market/airflow-env/bin/python bench/running_jobs.py [--jobs 1000] [--ending 200]`; needs no running stack.
The database is a real PostgreSQL; the ResourceManager answers over HTTP, in a process of its own, as the real
one does. Some of the jobs end at random moments. It prints the memory that each waiting job takes in the
process of the triggers (goal: <= 1 MB; Airflow's own books of a trigger are not in it), how long after its
end at the ResourceManager a job's trigger fires (goal: <= 5 s, none missed), and how long one look takes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clone  # noqa: F401

# isort: split

import servers
from ledger_world import World, make_template
from support import verdict

from market.cluster.resourcemanager import ResourceManager
from market.cluster.tickets import Named
from market.kit import settings
from market.kit.clock import now_ms

_DEADLINE_S = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--ending", type=int, default=200, help="how many of them end while it is measured")
    parser.add_argument("--seconds", type=float, default=60, help="the time over which they end")
    chosen = parser.parse_args()
    os.environ.setdefault("AIRFLOW_HOME", str(settings.ROOT / ".market" / "test-airflow"))
    with tempfile.TemporaryDirectory() as folder, servers.database(Path(folder)) as database:
        make_template(database)
        os.environ["MARKET_DATABASE_URL"] = database.url("market_app")
        world = World(database)
        owner = world.member(credits_ucr=10**13)
        jobs = [world.job(owner, hold_ucr=10**9, at=now_ms()) for _ in range(chosen.jobs)]
        world.sql("UPDATE job SET started_ms = %s", now_ms())
        ours, theirs = multiprocessing.Pipe()
        simulated = multiprocessing.get_context("spawn").Process(
            target=_resource_manager, args=(theirs, jobs), daemon=True
        )
        simulated.start()
        try:
            asyncio.run(_measure(jobs, ours, chosen.ending, chosen.seconds))
        finally:
            simulated.terminate()
            world.close()


async def _measure(jobs: list[str], control: Connection, ending: int, seconds: float) -> None:
    from market.airflow import trigger
    from market.jobs.life import watch

    manager = ResourceManager(f"http://127.0.0.1:{control.recv()}", Named("market"))
    watch.resource_manager = lambda: manager
    looks: list[float] = []
    look = watch.look

    def timed() -> set[str]:
        began = time.monotonic()
        try:
            return look()
        finally:
            looks.append(time.monotonic() - began)

    watch.look = timed
    await asyncio.to_thread(look)  # what is loaded once is not counted
    before, fired = _rss_kib(), dict[str, int]()

    async def wait(job_id: str) -> None:
        async for _ in trigger.JobTrigger(job_id).run():
            fired[job_id] = now_ms()

    waiting = [asyncio.create_task(wait(job_id)) for job_id in jobs]
    await asyncio.sleep(10)
    each_kib = (_rss_kib() - before) / len(jobs)
    ended: dict[str, int] = {}
    for job_id in random.sample(jobs, ending):
        control.send(job_id)
        ended[job_id] = now_ms()
        await asyncio.sleep(seconds / ending)
    until = time.monotonic() + _DEADLINE_S
    while len(fired) < ending and time.monotonic() < until:
        await asyncio.sleep(0.1)
    for task in waiting:
        task.cancel()
    late = sorted((fired[job_id] - at) / 1000 for job_id, at in ended.items() if job_id in fired)
    print(f"jobs                  {len(jobs)}")
    print(f"memory for each       {each_kib:.1f} KiB of the process {verdict(each_kib, most=1024)}")
    print(f"one look              {statistics.median(looks):.2f} s median, {max(looks):.2f} s at most")
    missed = ending - len(late)
    print(f"ended, seen, missed   {ending}, {len(late)}, {missed} {verdict(missed, most=0)}")
    print(f"fired too much        {len(set(fired) - set(ended))}")
    print(
        f"end seen after        {statistics.median(late):.2f} s median, {late[-1]:.2f} s at most"
        f" {verdict(late[-1], most=5)}"
    )


def _rss_kib() -> int:
    text = Path("/proc/self/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS:")).split()[1])


def _resource_manager(control: Connection, jobs: list[str]) -> None:
    """Serve the parts of the ResourceManager's REST that the watch asks for; jobs end as they are named."""
    started = now_ms()
    ended: dict[str, int] = {}

    def app(job_id: str) -> dict[str, Any]:
        over = job_id in ended
        return {
            "id": f"application_{job_id}",
            "user": "user1",
            "name": f"market {job_id}",
            "queue": "root.cpu",
            "state": "FINISHED" if over else "RUNNING",
            "finalStatus": "SUCCEEDED" if over else "UNDEFINED",
            "progress": 10.0,
            "diagnostics": "",
            "applicationTags": job_id,
            "startedTime": started,
            "finishedTime": ended.get(job_id, 0),
            "allocatedMB": 1536,
            "allocatedVCores": 2,
            "runningContainers": 2,
            "memorySeconds": 1000,
            "vcoreSeconds": 2,
            "logAggregationStatus": "NOT_START",
            "amHostHttpAddress": "127.0.0.2:8042",
            "trackingUrl": f"http://127.0.0.1/proxy/application_{job_id}/",
            "amContainerLogs": "http://127.0.0.2:8042/node/containerlogs/x/user1",
        }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            while control.poll():
                ended[control.recv()] = now_ms()
            path = urlsplit(self.path).path.removeprefix("/ws/v1/cluster")
            if path == "/apps":
                found: Any = {"apps": {"app": [app(job_id) for job_id in jobs if job_id not in ended]}}
            elif path.endswith("/appattempts"):
                found = {"appAttempts": {"appAttempt": [{"startTime": started, "containerId": "c"}]}}
            elif path.startswith("/apps/"):
                found = {"app": app(path.removeprefix("/apps/application_"))}
            else:
                found = {"clusterInfo": {"startedOn": 0}}
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    control.send(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
