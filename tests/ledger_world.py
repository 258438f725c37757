"""A small market on a real PostgreSQL, for tests of the ledger: people, machines, jobs, metered usage."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import servers
import used_database
from psycopg2.extras import NamedTupleCursor

from market.credits import ledger, projects
from market.jobs import runs
from market.jobs.spec import JobSpec
from market.kit import clock, database
from market.machines import earnings
from market.ops.database import migrate, postgres

T0 = 1_700_000_100_000  # a boundary of the five-minute schedule
MINUTE = 60_000
RATE, WEIGHT, GIB_WEIGHT = 1_000_000, 1_000_000, 4_000
_TEMPLATE = "market_template"
SPEC = (
    '{"root_path": "digits", "entry_file": "main.py", "machine_type": "cpu", "core_num": 2,'
    ' "executor_cores": 1, "driver_memory": 512, "executor_memory": 512, "max_duration": 3600,'
    ' "max_wait": 3600}'
)


def make_template(server: servers.Database) -> None:
    """Migrate once; each world starts as a copy."""
    # No test pulls the plug: what was committed need not reach the disk before the next statement.
    _administer(server, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    server.migrate()
    _administer(server, f"CREATE DATABASE {_TEMPLATE} TEMPLATE {migrate.DATABASE} OWNER {migrate.OWNER}")


def _administer(server: servers.Database, *statements: str) -> None:
    connection = psycopg2.connect(server.url(postgres.SUPERUSER, "postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


@dataclass
class World:
    """Writes what other modules would write; `sql` is the superuser's way, for looking and for damage."""

    server: servers.Database
    template: str = _TEMPLATE
    connection: Any = None
    names: int = 0
    machines: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.template != _TEMPLATE:
            used_database.forget(self.server)
        if not used_database.emptied(self.server):
            _administer(
                self.server,
                f"DROP DATABASE {migrate.DATABASE} WITH (FORCE)",
                f"CREATE DATABASE {migrate.DATABASE} TEMPLATE {self.template} OWNER {migrate.OWNER}",
            )
            if self.template == _TEMPLATE:
                used_database.remember(self.server)
        earnings._sums.clear()  # what this process remembers is of the world before
        self.connect()

    def connect(self) -> None:
        self.connection = psycopg2.connect(
            self.server.url(postgres.SUPERUSER),
            options="-c search_path=market",
            cursor_factory=NamedTupleCursor,
        )
        self.connection.autocommit = True

    def close(self) -> None:
        self.connection.close()

    def keep_as(self, template: str) -> None:
        """Make a template of this world, from which others can start."""
        self.close()
        _administer(
            self.server,
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{migrate.DATABASE}'",
            f"CREATE DATABASE {template} TEMPLATE {migrate.DATABASE} OWNER {migrate.OWNER}",
        )
        self.connect()

    def sql(self, statement: str, *values: object) -> list[Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *values: object) -> Any:
        return self.sql(statement, *values)[0][0]

    def member(self, credits_ucr: int = 15_000_000, at: int = T0) -> str:
        self.names += 1
        user_id = f"{self.names:032x}"
        self.sql(
            "INSERT INTO member VALUES (%s, %s, %s, %s, %s)",
            *(user_id, self.names, f"user{self.names}", f"user{self.names}@example.org", at),
        )
        with database.transaction() as cursor:
            cursor.execute("SELECT open_account(%s, %s)", [user_id, at])
            if credits_ucr:
                ledger.grant(cursor, user_id, credits_ucr, "welcome", f"signup:{user_id}", at)
        return user_id

    def grant(self, user_id: str, amount_ucr: int, reason: str = "more", at: int = T0) -> None:
        """Give a member credits, as an administrator does."""
        self.names += 1
        with database.transaction() as cursor:
            ledger.grant(
                cursor, user_id, amount_ucr, reason, given("grant", user_id, user_id, str(self.names)), at
            )

    def machine(self, owner: str | None, cores: int = 4) -> str:
        self.names += 1
        machine_id = f"{self.names:032x}"
        self.sql(
            "INSERT INTO machine (machine_id, user_id, machine_type, display_name, ip_address, service_port,"
            " core_count, memory_mib, time_period_s, state, created_ms, lease_end_ms, verified_ms)"
            " VALUES (%s, %s, %s, %s, %s, 8041, %s, 8192, 86400, 'active', %s, %s, %s)",
            *(machine_id, owner, "cpu" if owner else "pool", f"m{self.names}", f"10.0.0.{self.names}"),
            *(cores, T0, T0 + 86_400_000, T0),
        )
        return machine_id

    def project(
        self,
        owner: str,
        credits_ucr: int = 0,
        budget_ucr: int = 100_000_000,
        parent: str | None = None,
        start: int = T0,
        end: int = T0 + 365 * 86_400_000,
    ) -> str:
        """Make a project; what is in its account came from its owner, who was granted it."""
        self.names += 1
        project_id = f"{self.names:032x}"
        with database.transaction() as cursor:
            projects.create(cursor, project_id, f"p{self.names}", "", parent, owner, budget_ucr, start, end)
        if credits_ucr:
            self.grant(owner, credits_ucr)
            self.transfer(owner, project_id, credits_ucr)
        return project_id

    def transfer(self, payer: str, payee: str, amount_ucr: int, at: int = T0, limit: int = 10**12) -> None:
        self.names += 1
        giver = payer if self.one("SELECT count(*) FROM member WHERE user_id = %s", payer) else payee
        with database.transaction() as cursor:
            key = given("transfer", giver, payee, str(self.names))
            projects.transfer(cursor, payer, payee, amount_ucr, "for work", key, giver, limit, at)

    def joins(self, project_id: str, user_id: str, role: str = "member", cap_ucr: int | None = None) -> None:
        with database.transaction() as cursor:
            projects.set_member(cursor, project_id, user_id, role, cap_ucr)

    def job(
        self,
        user_id: str,
        hold_ucr: int = 5_000_000,
        at: int = T0,
        rate: int = RATE,
        project: str | None = None,
    ) -> str:
        """Submit a job with a hold, as an application that the meter knows."""
        self.names += 1
        job_id = f"{self.names:032x}"
        self.job_row(job_id, user_id, at, rate, project)
        with database.transaction() as cursor:
            ledger.take_hold(cursor, job_id, project or user_id, hold_ucr, rate, at + 86_400_000, at)
        self.sql(
            "INSERT INTO application_usage (application_id, job_id, last_seen_ms) VALUES (%s, %s, %s)",
            *(f"application_{job_id}", job_id, at),
        )
        return job_id

    def job_row(
        self, job_id: str, user_id: str, at: int = T0, rate: int = RATE, project: str | None = None
    ) -> None:
        self.sql(
            "INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro,"
            " weight_micro, gib_weight_micro, status, application_id, added_ms, project_id)"
            " VALUES (%s, %s, 'digits', %s, 'cpu', 2, %s, %s, %s, 'running', %s, %s, %s)",
            *(job_id, user_id, SPEC, rate, WEIGHT, GIB_WEIGHT, f"application_{job_id}", at, project),
        )
        self.sql("INSERT INTO job_point (job_id, point, params) VALUES (%s, 0, '{}')", job_id)
        self.sql(
            "INSERT INTO run (job_id, point, attempt, tag, status, since_ms, application_id)"
            " VALUES (%s, 0, 1, %s, 'running', %s, %s)",
            *(job_id, job_id, at, f"application_{job_id}"),
        )

    def stand(self, job_id: str, status: str, **columns: Any) -> None:
        """Put a plain job and its run where a test wants them; `columns` are those that both tables have."""
        changed = {"application_id": None, **columns} if status == "submitted" else columns
        names = ", ".join(f"{name} = %s" for name in changed)
        rest = f", {names}" if names else ""
        self.sql(f"UPDATE job SET status = %s{rest} WHERE job_id = %s", status, *changed.values(), job_id)
        run = "waiting" if status == "submitted" else status
        self.sql(f"UPDATE run SET status = %s{rest} WHERE job_id = %s", run, *changed.values(), job_id)
        self.sql("DELETE FROM submission WHERE job_id = %s", job_id)
        if run != "waiting":
            self.hand_over(job_id)

    def hand_over(self, job_id: str, mode: str = "simple") -> None:
        """Let the runs of a job have been given to YARN, in a mode of [security]."""
        self.sql(
            "INSERT INTO submission SELECT tag, job_id, since_ms, %s FROM run WHERE job_id = %s"
            " ON CONFLICT DO NOTHING",
            mode,
            job_id,
        )

    def submitted(self, job_id: str, spec: JobSpec) -> None:
        """Put a job where it stands just after its submission, with the points of this specification."""
        self.sql("DELETE FROM application_usage WHERE job_id = %s", job_id)
        self.stand(job_id, "submitted")
        self.sql("DELETE FROM run WHERE job_id = %s", job_id)
        self.sql("DELETE FROM job_point WHERE job_id = %s", job_id)
        self.sql("UPDATE job SET spec = %s WHERE job_id = %s", json.dumps(spec.to_json()), job_id)
        with database.transaction() as cursor:
            runs.add(cursor, job_id, spec, clock.now_ms())

    def container(
        self,
        job_id: str,
        machine_id: str | None,
        start: int,
        end: int | None = None,
        kind: str = "finished",
        role: str = "executor",
        vcores: int = 1,
        memory_mib: int = 1024,
        attempt: int = 1,
    ) -> str:
        """Let the meter see a container; without an end it was last seen a day later."""
        self.names += 1
        container_id = f"container_{self.names:06}"
        self.sql(
            "INSERT INTO container_usage VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            *(container_id, job_id, f"application_{job_id}", attempt, role, f"n{self.names}:1", "host"),
            *(machine_id, vcores, memory_mib, start, end or start + 86_400_000, end, kind if end else None),
        )
        return container_id

    def end_container(self, container_id: str, at: int, kind: str = "finished") -> None:
        self.sql(
            "UPDATE container_usage SET end_ms = %s, last_seen_ms = %s, end_kind = %s"
            " WHERE container_id = %s",
            *(at, at, kind, container_id),
        )

    def end_job(self, job_id: str, at: int, final: bool = True, reason_code: str | None = None) -> None:
        self.sql(
            "UPDATE job SET status = 'succeeded', ended_ms = %s, reason_code = %s WHERE job_id = %s",
            *(at, reason_code, job_id),
        )
        self.sql(
            "UPDATE run SET status = 'succeeded', ended_ms = %s, reason_code = %s"
            " WHERE job_id = %s AND ended_ms IS NULL",
            *(at, reason_code, job_id),
        )
        if final:
            self.sql(
                "UPDATE application_usage SET final = true, final_ms = %s WHERE job_id = %s",
                at + 4000,
                job_id,
            )

    def mark(self, at: int) -> None:
        """Let the meter have polled everything until then."""
        self.sql(
            "INSERT INTO meter_mark VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET at_ms = excluded.at_ms", at
        )

    def demand(self, at: int, total: int, used: int, pending: int = 0) -> None:
        self.sql(
            "INSERT INTO demand_sample VALUES (%s, 'cpu', %s, %s, %s, %s, %s, %s)",
            *(at, total * 1024, total, used * 1024, used, pending * 1024, pending),
        )

    def online(self, machine_id: str, since: int, until: int) -> None:
        self.sql(
            "INSERT INTO machine_presence SELECT machine_id, %s, %s, core_count FROM machine"
            " WHERE machine_id = %s",
            *(since, until, machine_id),
        )

    def balances(self, user_id: str) -> ledger.Balances:
        with database.transaction() as cursor:
            return ledger.balances(cursor, user_id)

    def hold(self, job_id: str) -> ledger.Hold:
        with database.transaction() as cursor:
            found = ledger.hold_of(cursor, job_id)
        assert found is not None
        return found

    def violations(self) -> list[Any]:
        return self.broken_invariants() + self.sql("SELECT * FROM verify_ledger()")

    def broken_invariants(self) -> list[Any]:
        """Ask for all that is wrong in the ledger, and for what a look at the new rows alone would find."""
        return self.sql("SELECT * FROM violations(false) UNION ALL SELECT * FROM violations(true)")

    def state_hash(self) -> str:
        """Hash all that a settlement writes, and what follows from it; times of day and row numbers aside."""
        tables = {
            "sealable": "kind, key, texts",
            "seal": "interval_id, encode(sha256, 'hex')",
            "sealed_row": "interval_id, kind, key",
            "settlement_step": "interval_id, step",
            "account": "*",
            "hold": "*",
            "unsealed": "*",
        }
        parts = [
            f"SELECT '{table}' AS t, "
            f" md5(coalesce(string_agg(r::text, '|' ORDER BY r::text COLLATE \"C\"), '')) AS h"
            f" FROM (SELECT {columns} FROM {table}) r"
            for table, columns in tables.items()
        ]
        return str(
            self.one(f"SELECT string_agg(t || h, ' ' ORDER BY t) FROM ({' UNION ALL '.join(parts)}) x")
        )


def given(kind: str, giver: str, to: str, number: str) -> str:
    """Return the key of a grant to a member, or of a refund of a job, that somebody gave by hand."""
    return f"{kind}:{giver}:{to}:{number}"


def now() -> int:
    return clock.now_ms()
