"""What it costs to hear of many lent machines, with a real database and a real server.

`.market/airflow-env/bin/python bench/heartbeats.py [--agents 300] [--payouts 100000] [--seconds 30]`
Measured: what a machine with many settled intervals has earned, added up anew and continued; then agents that
wait for their machines, all at once: requests a second, processor time of the server, and how soon agents
hear of a change. The PostgreSQL is its own, in a temporary folder; who asks is known without a token.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clone  # noqa: F401

# isort: split

import httpx
import psutil
import psycopg2
import uvicorn
from servers import Database, database, free_port

from market.kit import clock
from market.kit import database as connections
from market.machines import earnings, queries
from market.ops.database import postgres
from market.people.member import Member
from market.web.api import caller
from market.web.api.app import create_agent_app

_OWNER = "0" * 32
_RELEASE = {"runtime": "a" * 64, "python": "3.11"}
_AGENT = {"agent_version": "0", "api": 1, **_RELEASE}
_WAIT_S = 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=300)
    parser.add_argument("--payouts", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        _serve(chosen.serve)
        return
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as served:
        served.migrate()
        os.environ["MARKET_DATABASE_URL"] = served.url("market_app")
        os.environ["MARKET_STATE_DIR"] = folder
        (Path(folder) / "run").mkdir()
        (Path(folder) / "run" / "release.json").write_text(json.dumps(_RELEASE))
        machines = _machines(served, chosen.agents, chosen.payouts)
        _earnings(machines[0], chosen.payouts)
        _heartbeats(machines, chosen.seconds)


def _machines(served: Database, number: int, payouts: int) -> list[str]:
    connection = psycopg2.connect(served.url(postgres.SUPERUSER), options="-c search_path=market")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # rows without what they refer to
        machines = [clock.new_id() for _ in range(number)]
        for count, machine_id in enumerate(machines):
            cursor.execute(
                "INSERT INTO machine (machine_id, user_id, machine_type, display_name, ip_address,"
                " service_port, core_count, memory_mib, time_period_s, state, reason, created_ms, drain_now,"
                " lease_end_ms)"
                " VALUES (%s, %s, 'cpu', 'm', %s, 8041, 4, 8192, 86400, 'active', '', 1, false, %s)",
                [machine_id, _OWNER, f"10.0.{count // 250}.{count % 250 + 1}", clock.now_ms() + 86_400_000],
            )
        # Five minutes an interval: 100 000 are a year. The others' rows lie between.
        cursor.execute(
            "INSERT INTO payout SELECT n, m, %s, 1000, 100, 7 FROM generate_series(1, %s) n,"
            " unnest(%s::text[]) m",
            [_OWNER, payouts, machines[:5]],
        )
        cursor.execute("VACUUM ANALYZE payout")
    connection.close()
    return machines


def _earnings(machine_id: str, payouts: int) -> None:
    def anew() -> int:
        with connections.transaction() as cursor:
            cursor.execute(
                f"SELECT {queries._EARNED} FROM machine WHERE machine_id = %s",
                [machine_id],
            )
            return int(cursor.fetchone().earned_ucr)

    def continued() -> int:
        with connections.transaction() as cursor:
            return earnings.earned_ucr(cursor, machine_id)

    assert anew() == continued() == payouts * 907
    print(
        f"earned in {payouts} intervals: added up anew {_ms(anew):.2f} ms, continued {_ms(continued):.2f} ms"
    )


def _ms(function: Callable[[], Any], times: int = 50) -> float:
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        function()
        took.append((time.perf_counter() - begin) * 1000)
    return statistics.median(took)


def _serve(port: int) -> None:
    app = create_agent_app()
    app.dependency_overrides = {caller.current: lambda: Member(_OWNER, "lender", "")}
    uvicorn.run(app, port=port, log_level="warning", timeout_graceful_shutdown=1)


def _heartbeats(machines: list[str], seconds: int) -> None:
    port = free_port()
    server = subprocess.Popen([sys.executable, __file__, "--serve", str(port)])
    try:
        asyncio.run(_listen(f"http://127.0.0.1:{port}/v1", machines, seconds, psutil.Process(server.pid)))
    finally:
        server.terminate()
        server.wait()


async def _listen(url: str, machines: list[str], seconds: int, server: psutil.Process) -> None:
    answers, heard = 0, {}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=_WAIT_S + 20, trust_env=False) as client:
        for _ in range(100):
            try:
                await client.get(f"{url}/openapi.json")
                break
            except httpx.HTTPError:
                await asyncio.sleep(0.2)

        async def agent(machine_id: str) -> None:
            nonlocal answers
            known = ""
            while True:
                body = _AGENT | {"known": known, "wait_s": _WAIT_S}
                answer = await client.post(f"{url}/machines/{machine_id}/heartbeat", json=body)
                answer.raise_for_status()
                answers += 1
                known = answer.json()["version"]
                if answer.json()["core_count"] == 2:
                    heard[machine_id] = time.monotonic()

        tasks = [asyncio.create_task(agent(machine_id)) for machine_id in machines]
        await asyncio.sleep(_WAIT_S)
        before, first, begin = answers, _processor_s(server), time.monotonic()
        await asyncio.sleep(seconds)
        passed = time.monotonic() - begin
        print(
            f"{len(machines)} agents that wait: {(answers - before) / passed:.1f} requests/s,"
            f" server {(_processor_s(server) - first) / passed * 100:.1f} % of a core,"
            f" {server.num_threads()} threads, {server.memory_info().rss >> 20} MiB"
        )
        changed = await asyncio.to_thread(_resize_all)
        while len(heard) < len(machines):
            await asyncio.sleep(0.05)
            for task in tasks:
                if task.done():
                    task.result()
        waits = sorted(at - changed for at in heard.values())
        print(
            f"all of them changed: heard after {statistics.median(waits):.2f} s, the last {waits[-1]:.2f} s"
        )
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _resize_all() -> float:
    with connections.transaction() as cursor:
        cursor.execute("UPDATE machine SET core_count = 2")
    return time.monotonic()


if __name__ == "__main__":
    main()
