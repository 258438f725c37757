"""A market that people have used for an hour, at a real api-server: long names, 200 rows, settled jobs.

What people do comes through the routes; what other processes would have written is written as `ledger_world`
does, and the settlement is the real one. It stays in the server's database: tests of it come last.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass

from airflow_accounts import Person, log_in, make_token, registered, sql
from airflow_server import Airflow
from ledger_world import MINUTE, RATE, SPEC, WEIGHT, World
from name_node import Node

from market.credits.settlement import steps
from market.hadoop import paths
from market.kit.clock import now_ms

ROWS = 200
AGE_MS = 61 * MINUTE
LONG = "an-extraordinarily-long-name-without-any-place-to-break-it-in-two"
WORDS = "A title of many words, such as people write who want to say all of it in one line. " * 2
USED = {
    role: {
        **{"containers": 1, "not_measured": 0, "held_core_s": 100.0, "cpu_s": 40.5},
        **{"memory_mib": 1024, "peak_memory_mib": 612, "ms": [100_000]},
    }
    for role in ("driver", "executor")
}
RESULTS = {
    "metrics.json": b'{"accuracy": 0.9731, "loss": 0.0817}',
    "table.csv": b"digit,count\n" + b"".join(b"%d,%d\n" % (row, row * row) for row in range(ROWS)),
    f"{LONG}/part-00000.txt": b"one line\n" * ROWS,
    "_SUCCESS": b"",
}


@dataclass(frozen=True)
class Inhabited:
    """Who is there, and the ids of what is worth a look."""

    member: Person
    lender: Person
    admin: Person
    suspended: Person
    ended: str
    failed: str
    open: str
    sweep: str
    machine: str
    project: str


class _World(World):
    """Writes into the market of a running api-server, beside what is there."""

    def __post_init__(self) -> None:
        self.names = secrets.randbits(40)
        self.connect()


def inhabit(server: Airflow) -> Inhabited:
    """Fill the market; `MARKET_DATABASE_URL` leads to it."""
    with sql(server) as cursor:
        cursor.execute("DELETE FROM attempt")  # of tests before: all that come from one address share them
    member, lender, suspended = (registered(server, name) for name in (LONG[:23], "lends", "noisy"))
    admin = log_in(server, "admin", server.admin_password)
    world = _World(server.database)
    try:
        now = now_ms()
        began = now - AGE_MS
        world.sql("SET session_replication_role = replica")  # an account's beginning is not to be changed
        world.sql("UPDATE account SET opened_ms = %s WHERE user_id = ANY(%s)", began, [member.user_id])
        world.sql("SET session_replication_role = origin")
        for number in range(ROWS):
            world.grant(member.user_id, 1_000_000 + number, WORDS[:80], began + number * 10_000)
        machines = _machines(world, lender.user_id, began, now)
        ended = _ended(world, member, machines, began)
        failed = _failed(world, member, machines[1], began)
        sweep = _sweep(world, member, began)
        opened = world.job(member.user_id, at=now - 5 * MINUTE)
        world.sql("UPDATE job SET job_name = %s, started_ms = added_ms WHERE job_id = %s", LONG, opened)
        _many_jobs(world, member.user_id, began)
        world.mark(now + 10 * MINUTE)  # the meter knows all about what is settled
        steps.settle(now)
        _told(world, member, ended, machines[0], now)
    finally:
        world.close()
    for job_id in (ended, opened, sweep):
        _in_hdfs(member, job_id)
    project = _project(member, lender)
    make_token(member, "read", "submit", name=LONG[:64])
    hook = {"url": f"https://hooks.example.org/{LONG}", "kinds": ["grant", "job_failed"]}
    assert member.ask("POST", "/users/me/webhooks", json=hook).status_code == 201
    reason = {"reason": WORDS[:150], "jobs": "cancel"}
    answer = admin.ask("POST", f"/users/{suspended.user_id}/suspend", json=reason)
    assert answer.ok, answer.text
    return Inhabited(member, lender, admin, suspended, ended, failed, opened, sweep, machines[0], project)


def _machines(world: World, lender: str, began: int, now: int) -> list[str]:
    made = [world.machine(lender, cores=8) for _ in range(60)]
    world.sql(
        "UPDATE machine SET display_name = left(%s || machine_id, 64), created_ms = %s, active_ms = %s,"
        " lease_end_ms = %s, verified_ms = %s WHERE machine_id = ANY(%s)",
        *(LONG[:40], began, began, now + 30 * MINUTE, began, made),
    )
    world.sql("UPDATE machine SET state = 'lost', reason = %s WHERE machine_id = %s", WORDS[:120], made[-1])
    for machine in made[:3]:
        world.online(machine, began, now)
    for number in range(61):
        world.demand(began + number * MINUTE, total=24, used=number % 24, pending=20)
    for number, outcome in enumerate(("good", "poor", "none")):
        speeds = (21_000, 80_000, 9_000) if outcome == "good" else (None, None, None)
        world.sql(
            "INSERT INTO verification VALUES (%s, %s, 8, %s, %s, %s, %s, %s, %s, %s)",
            *(secrets.token_hex(16), made[0], began + number * MINUTE, began + number * MINUTE + 9000),
            *(outcome, "" if outcome == "good" else WORDS[:90], *speeds),
        )
    return made


def _ended(world: World, member: Person, machines: list[str], began: int) -> str:
    job = world.job(member.user_id, hold_ucr=90_000_000, at=began)
    end = began + 25 * MINUTE
    world.container(job, machines[0], began + MINUTE, end, role="driver")
    for machine in machines[:3]:
        world.container(job, machine, began + 2 * MINUTE, end, vcores=4, memory_mib=8192)
    world.container(job, machines[2], began + 2 * MINUTE, end, kind="preempted", vcores=4)
    world.end_job(job, end)
    spec = json.loads(SPEC) | {
        **{"root_path": LONG, "libs": [f"{LONG}.py"], "env": {"LEVEL": "debug"}},
        **{"app_params": ["--out", "{output}", LONG], "job_note": WORDS[:180], "requirements": ["numpy"]},
    }
    world.sql(
        "UPDATE job SET job_name = %s, spec = %s, started_ms = %s, used = %s, used_ms = 1, folder = %s,"
        " results_ms = 1, logs_ms = 1 WHERE job_id = %s",
        *(LONG, json.dumps(spec), began + MINUTE, json.dumps({**USED, "work": None})),
        *(paths.job_folder(member.username, job), job),
    )
    for number, status in enumerate(("submitted", "queued", "accepted", "running", "succeeded")):
        world.sql(
            "INSERT INTO job_status (job_id, at_ms, status) VALUES (%s, %s, %s)",
            *(job, began + number * MINUTE, status),
        )
    for path, content in RESULTS.items():
        world.sql("INSERT INTO result_file VALUES (%s, %s, %s, 1, %s)", job, path, len(content), "ab" * 32)
    for number, name in enumerate(("stderr", "stdout")):
        world.sql(
            "INSERT INTO log_file VALUES (%s, %s, %s, 'driver', %s, %s, 1000)",
            *(job, number, f"container_{world.names:013}_01_000001", LONG, name),
        )
    return job


def _failed(world: World, member: Person, machine: str, began: int) -> str:
    job = world.job(member.user_id, hold_ucr=9_000_000, at=began)
    world.container(job, machine, began + MINUTE, began + 20 * MINUTE, role="driver")
    world.end_job(job, began + 20 * MINUTE)
    world.stand(job, "failed", reason_code="out_of_memory", reason=WORDS[:140])
    world.sql("UPDATE job SET logs_ms = 1, results_ms = 1 WHERE job_id = %s", job)
    return job


def _sweep(world: World, member: Person, began: int) -> str:
    job = world.job(member.user_id, hold_ucr=9_000_000, at=began)
    spec = json.loads(SPEC) | {"grid": {"alpha": [0.1, 0.5], LONG[:30]: [1, 2]}, "max_parallel": 2}
    world.sql("DELETE FROM run WHERE job_id = %s", job)
    world.sql("DELETE FROM job_point WHERE job_id = %s", job)
    world.sql("UPDATE job SET spec = %s, job_name = 'sweep' WHERE job_id = %s", json.dumps(spec), job)
    for number, status in enumerate(("succeeded", "failed", "running", "waiting")):
        params = {"alpha": [0.1, 0.5][number // 2], LONG[:30]: number % 2 + 1}
        metrics = {"accuracy": 0.9 + number / 100} if status == "succeeded" else None
        world.sql(
            "INSERT INTO job_point (job_id, point, params, metrics) VALUES (%s, %s, %s, %s)",
            *(job, number, json.dumps(params), json.dumps(metrics) if metrics else None),
        )
        ended = began + 9 * MINUTE if status in ("succeeded", "failed") else None
        world.sql(
            "INSERT INTO run (job_id, point, attempt, tag, status, since_ms, reason, started_ms, ended_ms)"
            " VALUES (%s, %s, 1, %s, %s, %s, %s, %s, %s)",
            *(job, number, f"{job}-{number}", status, began, WORDS[:90] if status == "failed" else ""),
            *(began, ended),
        )
    return job


def _many_jobs(world: World, user_id: str, began: int) -> None:
    made = world.sql(
        "INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro,"
        " weight_micro, gib_weight_micro, status, added_ms, started_ms, ended_ms)"
        " SELECT md5(%s || n), %s, %s || n, %s, 'cpu', 2, %s, %s, 4000,"
        " (ARRAY['succeeded', 'failed', 'cancelled', 'lost'])[1 + n %% 4], %s + n, %s + n, %s + 1000 * n"
        " FROM generate_series(1, %s) n RETURNING job_id",
        *(user_id, user_id, LONG, SPEC, RATE, WEIGHT, began, began, began + MINUTE, ROWS),
    )
    ids = [row.job_id for row in made]
    world.sql("INSERT INTO job_point (job_id, point, params) SELECT unnest(%s), 0, '{}'", ids)
    world.sql(
        "INSERT INTO run (job_id, point, attempt, tag, status, since_ms, started_ms, ended_ms)"
        " SELECT job_id, 0, 1, job_id, status, added_ms, started_ms, ended_ms FROM job"
        " WHERE job_id = ANY(%s)",
        ids,
    )
    world.sql("SELECT take_hold(unnest(%s)::hex_id, %s, 1000, %s, %s)", ids, user_id, RATE, began + MINUTE)


def _told(world: World, member: Person, job_id: str, machine_id: str, now: int) -> None:
    for number in range(60):
        world.sql(
            "INSERT INTO event (event_id, position, at_ms, kind, user_id, job_id, machine_id, data)"
            " VALUES (%s, nextval('event_position'), %s, 'grant', %s, %s, %s,"
            " jsonb_build_object('amount', '2', 'reason', %s::text))",
            *(secrets.token_hex(16), now - number, member.user_id),
            *(job_id if number % 2 else None, None if number % 2 else machine_id, WORDS[:120]),
        )
    for number in range(3):
        world.sql(
            "INSERT INTO alert (at_ms, first_ms, kind, subject, detail)"
            " VALUES (%s, 1, 'poor_machine', %s, %s)",
            *(now, f"{LONG}{number}{job_id}", WORDS),
        )
    world.sql(
        "INSERT INTO audit (at_ms, kind, actor, subject, detail)"
        " SELECT %s + n, 'account_suspended', %s, %s, %s FROM generate_series(1, %s) n",
        *(now - ROWS, "admin", member.user_id, WORDS[:90], ROWS),
    )


def _in_hdfs(member: Person, job_id: str) -> None:
    """Put files into HDFS: what the job has left, and 200 in the home."""
    hdfs, folder = member.server.hdfs, paths.job_folder(member.username, job_id)
    for path, content in RESULTS.items():
        place = f"{paths.output(folder)}/{path}"
        parts = place.strip("/").split("/")
        for depth in range(1, len(parts)):
            hdfs.nodes.setdefault("/" + "/".join(parts[:depth]), Node())
        hdfs.nodes[place] = Node(content)
    home = paths.home(member.username)
    for name in (*(f"{LONG}-{number}.py" for number in range(ROWS)), "data.zip"):
        hdfs.nodes[f"{home}/{name}"] = Node(b"print(1)\n")
    hdfs.nodes[f"{home}/folder"] = Node()


def _project(owner: Person, other: Person) -> str:
    body = {"name": f"p{secrets.token_hex(12)}", "title": WORDS, "budget": "50", "end": now_ms() + 10**9}
    made = owner.ask("POST", "/projects", json=body)
    assert made.status_code == 201, made.text
    project_id = str(made.json()["project_id"])
    role = {"role": "manager", "month_cap": "3"}
    joined = owner.ask("PUT", f"/projects/{project_id}/members/{other.username}", json=role)
    assert joined.ok, joined.text
    return project_id
