"""Make `from_896a177.sql.gz`: the dump of a market as release 896a177 left it, for the test of its upgrade.

In a checkout of that release, with its `./market setup` done:

    PYTHONPATH=plugins:tests .market/airflow-env/bin/python .../make.py from_896a177.sql.gz

The market has four sealed intervals with fees, stipends and refunds of both kinds. The fifth is frozen,
priced and half captured: its settlement died there. There are a sweep that ended and one that goes on, open
holds, rows that no seal covers yet, texts that need quoting, and at least one row in every table. The dump
has the functions of its time with it.
"""
# ruff: noqa: I001 - the imports are that release's

import gzip
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import servers
from ledger_world import MINUTE, T0, World, make_template

from market import db, settings
from market.credits import ledger, settlement
from market.stack import postgres

AWKWARD = 'for "Ann", (Bob\\Eve)\n{} é'
OTHER_TABLES = """
    INSERT INTO job_status (job_id, at_ms, status, reason) SELECT job_id, added_ms, 'running', '' FROM job;
    INSERT INTO idempotency
        SELECT user_id, 'POST', '/jobs?a=1', 'key', 'f00', 201, '{"etag": "1"}', '\\x00ff', 1 FROM member;
    INSERT INTO alert (at_ms, kind, subject, detail) VALUES (1, 'node', 'n1:1', 'nobody registered it');
    INSERT INTO node_sample SELECT 1, 'n1:1', machine_id, 'RUNNING', 8192, 4, 1024, 1 FROM machine LIMIT 1;
    INSERT INTO attempt VALUES ('a name that is hashed', 9);
    INSERT INTO result_file SELECT job_id, 'model, "best"/part-0', 7, 1, NULL FROM job;
    INSERT INTO log_file SELECT job_id, 0, 'container_000001', 'driver', 'shy-owl', 'stdout', 6, 1 FROM job;
    INSERT INTO verification
        SELECT md5(machine_id), machine_id, 4, 1, 2, 'good', '', 100, 380, 9000 FROM machine;
    INSERT INTO ledger_check SELECT 1, sum(row_count), 0 FROM seal;
"""
GRID = '{"grid": {"depth": [3, 4, 5]}, "max_parallel": 2, "point_retries": 1}'


def sweep(world: World, job_id: str, statuses: list[str]) -> None:
    """Make a sweep of a job: its first point has the job's application, and an earlier run that was lost."""
    world.sql("UPDATE job SET spec = spec || %s::jsonb WHERE job_id = %s", GRID, job_id)
    for point, status in enumerate(statuses):
        application = f"application_{job_id}" if point == 0 else f"application_{job_id}_{point}"
        ended = T0 + 4 * MINUTE if status in ("succeeded", "failed") else None
        metrics = '{"loss": 0.5}' if status == "succeeded" else None
        world.sql(
            "INSERT INTO job_point VALUES (%s, %s, %s, %s, %s, %s, %s, '', %s, %s, %s)",
            *(job_id, point, f'{{"depth": {3 + point}}}', status, T0 + point),
            None if status == "waiting" else application,
            "user_error" if status == "failed" else None,
            *(None if status == "waiting" else T0 + 1, ended, metrics),
        )
    world.sql(
        "INSERT INTO point_run VALUES (%s, 0, 1, %s, 'lost', 'pool_failure', 'Machine lost.', %s, %s)",
        *(job_id, f"application_{job_id}_lost", T0 - 9, T0 - 1),
    )


def live(world: World) -> None:
    """Let the market live through four intervals and a half."""
    buyer, other, lender = (world.member() for _ in range(3))
    machines = [world.machine(lender), world.machine(lender), world.machine(None)]
    for machine in machines[:2]:
        world.online(machine, T0, T0 + 60 * MINUTE)
    for minute in range(30):
        world.demand(T0 + minute * MINUTE, total=10, used=9)
    long, short, lost, refunded, running, never = (world.job(buyer, hold_ucr=500_000) for _ in range(6))
    over = world.job(other, hold_ucr=1_000)
    for number, machine in enumerate(machines):
        world.container(long, machine, T0 + number, T0 + 12 * MINUTE + 77, vcores=2, memory_mib=1000 + number)
        world.container(short, machine, T0 + 1, T0 + 4 * MINUTE)
        world.container(running, machine, T0 + 2 * MINUTE)
    world.container(lost, machines[0], T0, T0 + 7 * MINUTE, "node_lost")
    world.container(refunded, machines[1], T0, T0 + 6 * MINUTE, role="driver")
    world.container(over, machines[0], T0 + 1, T0 + 9 * MINUTE)
    world.sql("UPDATE container_usage SET last_seen_ms = least(last_seen_ms, end_ms)")
    world.sql("UPDATE container_usage SET host = %s WHERE machine_id = %s", AWKWARD, machines[0])
    for job, minute in ((long, 13), (short, 4), (lost, 8), (refunded, 7), (over, 9), (never, 1)):
        code = "pool_failure" if job == refunded else None
        world.end_job(job, T0 + minute * MINUTE + 500, reason_code=code)
    world.mark(T0 + MINUTE)
    world.mark(T0 + 60 * MINUTE)
    with db.transaction() as cursor:
        ledger.grant(cursor, other, 7, AWKWARD, "awkward", T0)
        ledger.extend_hold(cursor, running, 2_000_000, "extended", T0)
        ledger.release_hold(cursor, never, "never", T0)
    settlement.settle(T0 + 15 * MINUTE)
    with db.transaction() as cursor:
        ledger.refund(cursor, short, 100, "sorry", "given back", T0)
    settlement.settle(T0 + 20 * MINUTE)
    late = world.job(other, hold_ucr=300_000, at=T0 + 20 * MINUTE)
    world.container(late, machines[1], T0 + 21 * MINUTE, role="driver")
    interval = settlement.freeze(T0 + 25 * MINUTE)
    settlement.price(interval)
    world.sql("SELECT capture_chunk(%s, %s, %s)", interval, running, running)
    world.sql(OTHER_TABLES)
    sweep(world, short, ["succeeded", "succeeded", "succeeded"])
    sweep(world, running, ["running", "failed", "waiting"])
    with db.transaction() as cursor:
        ledger.grant(cursor, buyer, 11, "no seal covers it yet", "unsealed", T0 + 26 * MINUTE)
    assert world.violations() == []


def dump(server: servers.Database) -> bytes:
    """Return the market's schema as SQL, without the two lines that differ from one dump to the next."""
    command = [str(postgres.programs() / "pg_dump"), "--schema=market", server.url(postgres.SUPERUSER)]
    text = subprocess.run(command, check=True, capture_output=True).stdout
    return b"".join(
        line
        for line in text.splitlines(keepends=True)
        if not line.startswith((b"\\restrict", b"\\unrestrict"))
    )


def main() -> None:
    """Write the dump to the file that is named."""
    loaded = settings.load()
    tariff = {"fee": "0.100000", "stipend_per_core_hour": "1.000000", "stipend_cap_per_interval": "0.000100"}
    settings.load = lambda *_: replace(loaded, credits=replace(loaded.credits, **tariff))
    with tempfile.TemporaryDirectory() as folder, servers.database(Path(folder)) as server:
        make_template(server)
        os.environ["MARKET_DATABASE_URL"] = server.url("market_app")
        world = World(server)
        live(world)
        world.close()
        Path(sys.argv[1]).write_bytes(gzip.compress(dump(server), mtime=0))


if __name__ == "__main__":
    main()
