"""The ledger against pgbench's TPC-B, on one PostgreSQL server of its own, in one run.

`.market/airflow-env/bin/python bench/ledger.py [--rounds 5] [--seconds 5] [--batch 10000] [--lines 100000]`

A transaction of TPC-B moves an amount: it changes three balances and adds a line to a history, in five
statements over a connection of its own. It is driven by 8 clients with prepared statements, and every commit
waits for the disk. Beside it stand, as ratios, in slices that take turns, medians:

* a hold: one call and commit, by 8 clients, for a job that is there; and a whole submission, job and hold. A
  hold changes one balance and adds the hold, its entry and its place in the queue of the next seal. Goal 1.0.
* a hold that is captured: the commit that takes it, and its part of the steps that move money, counted as two
  commits. Goal 0.9. Beside it all that such a job costs the server: its whole submission, and its line of a
  settlement with all six steps.
* money moved in a batch: the steps capture and pay of a settlement. Each job has one container, so that
  each line is a posting of its own, as in TPC-B: it changes a hold and an account and adds a charge, the
  posting, its transfer and two entries of the hold. Goal 3.
* lines settled: all six steps. Freezing the usage, checking the invariants and sealing every row with a
  digest come on top, of which TPC-B does nothing. With three containers a job, as a submission for two
  cores has (goal 3), and with one, the worst there is. The jobs' own holds are checked and sealed
  with them. The slices' jobs, which never run, are over by then; what they have left to be sealed is, in an
  interval of its own that is not measured.

All captures on one machine >= 0.9 of the same spread over many; 100 000 usage lines in < 60 s; and all that
no slower with 10^6 transfers in the ledger than with 10^4: for that a copy of the ledger is filled up, and
young and old take turns in the same rounds, on the same server.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2
from clone import ROOT
from psycopg2.extras import NamedTupleCursor

# isort: split

import servers

from market.credits.settlement import steps
from market.ops.database import migrate, postgres

_CLIENTS, _THREADS = 8, 2
_USERS = 2000
_MACHINES = 500
_T0 = 1_700_000_100_000
_MINUTE = 60_000
_HOLD = """SELECT market.take_hold('8' || lpad(to_hex(n), 31, '0'), lpad(to_hex(1 + n % {users}), 32, '0'),
    1000, 1000000, 1900000000000, 0) FROM (SELECT nextval('market.next_job')::integer AS n) drawn;
"""
_SUBMIT = """\\set u random(1, {users})
BEGIN;
WITH made AS (SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
    || substr(md5(random()::text || :client_id), 1, 20) AS id)
INSERT INTO market.job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro, weight_micro,
    gib_weight_micro, status, added_ms)
  SELECT id, lpad(to_hex(:u::integer), 32, '0'), 'bench', '{{}}', 'cpu', 1, 1000000, 1000000, 4000,
    'submitted', 0 FROM made RETURNING job_id AS job \\gset
SELECT market.take_hold(:job::text, lpad(to_hex(:u::integer), 32, '0'), 1000, 1000000, 1900000000000, 0);
END;
"""
_TOGETHER = {
    "held and captured": ("holds", "moved"),
    "submitted and settled": ("submit: job and hold", "settled, many machines"),
}
_USER = "lpad(to_hex({}), 32, '0')"
_OLD = "market_old"
# Where a figure was taken: in the first rounds, and in the last ones, young and old taking turns.
_FIRST, _YOUNG, _AGED = "", " beside it", " later"


@dataclass(frozen=True)
class Settled:
    """Lines a second: of a whole settlement, and of its steps that move money."""

    all: float
    moved: float


@dataclass
class Bench:
    """A ledger on the server, and where its simulated time stands; `tps` is kept for all of them together."""

    server: servers.Database
    database: str
    connection: Any
    until_ms: int = _T0
    jobs: int = 0
    stored: int = 0
    tps: dict[str, list[float]] = field(default_factory=dict)

    def sql(self, statement: str, *values: object) -> list[Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    def pgbench(
        self, script: str | None, seconds: int, database: str, role: str, each: int | None = None
    ) -> float:
        """Return transactions a second of a script, of TPC-B without one; `each`: so many for each client."""
        command = [str(postgres.programs() / "pgbench"), "-n", "-c", str(_CLIENTS), "-j", str(_THREADS)]
        command += ["-M", "prepared", *(["-T", str(seconds)] if each is None else ["-t", str(each)])]
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            if script is not None:
                file.write(script)
                file.flush()
                command += ["-f", file.name]
            done = subprocess.run(
                [*command, "-h", "127.0.0.1", "-p", str(self.server.port), "-U", role, database],
                env={**os.environ, "PGPASSWORD": self.server.passwords[role]},
                capture_output=True,
                text=True,
            )
        found = re.search(r"tps = ([0-9.]+) \(without", done.stdout)
        if done.returncode or found is None:
            raise SystemExit(f"pgbench failed: {done.stdout}{done.stderr}")
        return float(found[1])

    def held(self, seconds: int) -> float:
        """Return holds a second, for jobs that are stored before the clock starts."""
        number = 1500 * seconds
        first, self.stored = self.stored + 1, self.stored + number
        self.sql("SELECT setval('next_job', %s, false)", first)
        user = _USER.format(f"1 + n % {_USERS}")
        self.sql(
            "INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro,"
            " weight_micro, gib_weight_micro, status, added_ms)"
            f" SELECT '8' || lpad(to_hex(n), 31, '0'), {user}, 'bench', '{{}}', 'cpu', 1,"
            f" 1000000, 1000000, 4000, 'submitted', 0"
            f" FROM generate_series({first}::integer, {self.stored}) n"
        )
        return self.pgbench(
            _HOLD.format(users=_USERS), seconds, self.database, migrate.APPLICATION, number // _CLIENTS
        )

    def metered(self, number: int, machines: int, containers: int) -> None:
        """Let `number` jobs have ended, each with so many containers of a minute, on so many machines."""
        first = self.jobs + 1
        self.jobs += number
        job = f"'9' || lpad(to_hex({first} + n), 31, '0')"  # in order, as the market's ids are
        series = f"generate_series(0, {number - 1}) n"
        start = self.until_ms
        user, machine = (_USER.format(f"1 + n % {most}") for most in (_USERS, machines))
        self.sql(
            "INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro,"
            " weight_micro, gib_weight_micro, status, added_ms, application_id, ended_ms)"
            f" SELECT {job}, {user}, 'bench', '{{}}', 'cpu', 1, 1000000, 1000000, 4000,"
            f" 'succeeded', 0, 'application_' || {first} + n, {start + _MINUTE} FROM {series}"
        )
        self.sql(f"SELECT count(take_hold({job}, {user}, 20000, 1000000, 1900000000000, 0)) FROM {series}")
        self.sql(
            "INSERT INTO application_usage (application_id, job_id, last_seen_ms, final, final_ms)"
            f" SELECT 'application_' || {first} + n, {job}, 0, true, {start + _MINUTE} FROM {series}"
        )
        self.sql(
            f"INSERT INTO container_usage SELECT 'container_' || {first} + n || '_' || c, {job},"
            f" 'application_' || {first} + n, 1, 'executor', 'n:1', 'h', {machine},"
            f" 1, 1024, {start}, {start + _MINUTE}, {start + _MINUTE}, 'finished'"
            f" FROM {series} CROSS JOIN generate_series(1, {containers}) c"
        )
        self.sql("ANALYZE job, hold, hold_entry, application_usage, container_usage")

    def settled(self, lines: int, machines: int, containers: int = 1) -> Settled:
        """Settle so many lines, each step by itself, after all that came before; return lines a second."""
        os.environ["MARKET_DATABASE_URL"] = self.server.url(migrate.APPLICATION, self.database)
        self.until_ms += 5 * _MINUTE
        self.sql("SELECT count(release_hold(job_id, 'end:' || job_id)) FROM hold WHERE closed_ms IS NULL")
        steps.settle(self.until_ms)
        self.metered(lines // containers, machines, containers)
        self.until_ms += 5 * _MINUTE
        times = [time.perf_counter()]
        interval_id = steps.freeze(self.until_ms)
        for step in (
            *(steps.price, steps.capture, steps.pay),
            *(steps.reconcile, steps.seal),
        ):
            times.append(time.perf_counter())
            step(interval_id)
        times.append(time.perf_counter())
        charged = self.sql("SELECT count(*) FROM charge WHERE interval_id = %s", interval_id)[0][0]
        if charged != lines // containers * containers:
            raise SystemExit(f"{charged} lines were settled, not {lines}")
        return Settled(all=charged / (times[6] - times[0]), moved=charged / (times[4] - times[2]))

    def note(self, name: str, figure: float) -> None:
        self.tps.setdefault(name, []).append(figure)
        print(f"{name:34} {figure:9.0f} /s", file=sys.stderr)

    def median(self, name: str) -> float:
        return statistics.median(self.tps[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each slice of pgbench")
    parser.add_argument("--batch", type=int, default=10_000, help="lines of a settlement in the rounds")
    parser.add_argument("--lines", type=int, default=100_000, help="lines of the long settlement")
    parser.add_argument("--transfers", type=int, default=1_000_000, help="in the ledger for the last rounds")
    chosen = parser.parse_args()
    # On a disk, not in memory: commits wait for it, in the market as in TPC-B.
    with (
        tempfile.TemporaryDirectory(dir=ROOT / ".market") as folder,
        servers.database(Path(folder)) as server,
    ):
        bench = _prepared(server)
        for _ in range(chosen.rounds):
            _tpcb(bench, chosen, _FIRST)
            _round(bench, chosen, _FIRST)
        long_s = chosen.lines / bench.settled(chosen.lines, _MACHINES).all
        old = _copied(bench)
        _fill(old, chosen.transfers)
        before = _transfers(bench)
        for number in range(chosen.rounds):
            _tpcb(bench, chosen, _AGED)
            pair = [(bench, _YOUNG), (old, _AGED)]
            for one, where in pair if number % 2 else reversed(pair):
                _round(one, chosen, where)
        _report(bench, chosen, (before, _transfers(old)), long_s)
        for one in (bench, old):
            if wrong := one.sql("SELECT * FROM violations(false) LIMIT 5"):
                raise SystemExit(f"the ledger {one.database} does not add up: {wrong}")


def _prepared(server: servers.Database) -> Bench:
    server.migrate()
    bench = Bench(server, migrate.DATABASE, _connected(server, migrate.DATABASE))
    bench.sql("CREATE DATABASE tpcb")
    initialise = [str(postgres.programs() / "pgbench"), "-i", "-q", "-s", "10", "-h", "127.0.0.1"]
    initialise += ["-p", str(server.port), "-U", postgres.SUPERUSER, "tpcb"]
    environment = {**os.environ, "PGPASSWORD": server.passwords[postgres.SUPERUSER]}
    subprocess.run(initialise, check=True, capture_output=True, env=environment)
    user = _USER.format("n")
    bench.sql(
        f"INSERT INTO member SELECT {user}, n, 'user' || n, 'x@example.org', {_T0}"
        f" FROM generate_series(1, {_USERS}) n"
    )
    bench.sql(f"SELECT count(open_account({user}, {_T0})) FROM generate_series(1, {_USERS}) n")
    bench.sql(
        f"SELECT count(grant_credit({user}, 1000000000000, 'bench', 'signup:' || {user}, {_T0}))"
        f" FROM generate_series(1, {_USERS}) n"
    )
    bench.sql(
        "INSERT INTO machine (machine_id, user_id, machine_type, display_name, ip_address, service_port,"
        f" core_count, memory_mib, time_period_s, state, created_ms, lease_end_ms)"
        f" SELECT {user}, {user}, 'cpu', 'm' || n,"
        f" '10.0.0.' || n, 1, 4, 8192, 1, 'active', {_T0}, {_T0} FROM generate_series(1, {_MACHINES}) n"
    )
    bench.sql(
        "CREATE SEQUENCE next_job; GRANT USAGE ON SEQUENCE next_job TO market_app; SELECT nextval('next_job')"
    )
    bench.sql("INSERT INTO meter_mark VALUES (1, 1900000000000)")
    bench.sql("VACUUM ANALYZE")
    return bench


def _connected(server: servers.Database, database: str) -> Any:
    connection = psycopg2.connect(
        server.url(postgres.SUPERUSER, database),
        options="-c search_path=market",
        cursor_factory=NamedTupleCursor,
    )
    connection.autocommit = True
    return connection


def _copied(bench: Bench) -> Bench:
    """Return a copy of a ledger, in a database of its own; both note their figures in one place."""
    bench.connection.close()
    administration = _connected(bench.server, "postgres")
    with administration.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [bench.database]
        )
        cursor.execute(f"CREATE DATABASE {_OLD} TEMPLATE {bench.database} OWNER {migrate.OWNER}")
    administration.close()
    bench.connection = _connected(bench.server, bench.database)
    bench.sql("VACUUM ANALYZE")  # as the copy will be, after it is filled
    return replace(bench, database=_OLD, connection=_connected(bench.server, _OLD))


def _tpcb(bench: Bench, chosen: argparse.Namespace, where: str) -> None:
    bench.note("TPC-B" + where, bench.pgbench(None, chosen.seconds, "tpcb", postgres.SUPERUSER))


def _round(bench: Bench, chosen: argparse.Namespace, where: str) -> None:
    bench.note("holds" + where, bench.held(chosen.seconds))
    script = _SUBMIT.format(users=_USERS)
    bench.note(
        "submit: job and hold" + where,
        bench.pgbench(script, chosen.seconds, bench.database, migrate.APPLICATION),
    )
    many, one = bench.settled(chosen.batch, _MACHINES), bench.settled(chosen.batch, 1)
    bench.note("moved" + where, many.moved)
    bench.note("settled, many machines" + where, many.all)
    bench.note("settled, one machine" + where, one.all)
    bench.note("settled, three a job" + where, bench.settled(chosen.batch, _MACHINES, 3).all)


def _transfers(bench: Bench) -> int:
    return int(bench.sql("SELECT count(*) FROM transfer")[0][0])


def _fill(bench: Bench, transfers: int) -> None:
    """Bring the ledger to so many transfers: grants of one ucr, as if sealed long ago."""
    missing = max(0, transfers - _transfers(bench))
    user = _USER.format(f"1 + n % {_USERS}")
    bench.sql("SET session_replication_role = replica")
    bench.sql(
        f"INSERT INTO journal (key, kind, at_ms, note)"
        f" SELECT 'grant:' || {user} || ':' || {user} || ':filled ' || n, 'grant', 0, 'filled'"
        f" FROM generate_series(1, {missing}) n"
    )
    bench.sql(
        f"INSERT INTO transfer SELECT journal_id, 1, 'treasury', {user}, 1 FROM journal"
        " CROSS JOIN LATERAL (SELECT split_part(key, ' ', 2)::integer AS n) k WHERE note = 'filled'"
    )
    bench.sql(
        "INSERT INTO seal_page SELECT 1, 'journal', -1 - journal_id / 200, array_agg(key),"
        " array_agg(digest_of(texts[1])) FROM journal JOIN journal_text USING (key)"
        " WHERE note = 'filled' GROUP BY 3"
    )
    filled = (
        "(SELECT payee, count(*) AS ucr FROM journal JOIN transfer USING (journal_id)"
        " WHERE note = 'filled' GROUP BY payee) filled"
    )
    bench.sql(
        f"UPDATE account SET granted_ucr = granted_ucr + filled.ucr FROM {filled} WHERE user_id = payee"
    )
    bench.sql(
        f"UPDATE account_balance b SET granted_ucr = granted_ucr + filled.ucr FROM {filled}"
        " WHERE user_id = payee AND interval_id ="
        " (SELECT max(l.interval_id) FROM account_balance l WHERE l.user_id = b.user_id)"
    )
    bench.sql(
        "UPDATE system_balance SET balance_ucr = balance_ucr - %s WHERE account = 'treasury'"
        " AND interval_id = (SELECT max(interval_id) FROM settlement)",
        missing,
    )
    bench.sql("SET session_replication_role = origin")
    bench.sql("VACUUM ANALYZE")
    bench.sql("CHECKPOINT")  # else what was filled in is written to the disk during the slices that follow


def _report(bench: Bench, chosen: argparse.Namespace, transfers: tuple[int, int], long_s: float) -> None:
    version = bench.sql("SHOW server_version")[0][0]
    print(
        f"PostgreSQL {version}, {os.cpu_count()} cores, {_CLIENTS} clients, {_USERS} accounts, medians of"
        f" {chosen.rounds} interleaved slices of {chosen.seconds} s; load {os.getloadavg()[0]:.1f}"
    )
    young, aged = transfers
    print(f"{'':44} {'first':>9} {'x TPC-B':>8}   {f'at {aged:.0e} transfers':>21}  goal")

    def line(name: str, figure: str, goal: str, times: float = 1.0) -> None:
        first, last = bench.median(figure) * times, bench.median(figure + _AGED) * times
        base, base_later = bench.median("TPC-B"), bench.median("TPC-B" + _AGED)
        print(f"{name:44} {first:9.0f} {first / base:8.2f}   {last:9.0f} {last / base_later:8.2f}x   {goal}")

    line("TPC-B, transactions/s", "TPC-B", "")
    line("holds/s", "holds", ">= 1.0")
    line("whole submissions (job and hold)/s", "submit: job and hold", "")
    for suffix in (_FIRST, _AGED):
        for name, parts in _TOGETHER.items():
            first, second = (bench.median(part + suffix) for part in parts)
            bench.tps[name + suffix] = [2 / (1 / first + 1 / second)]
    line("holds and captures, commits/s", "held and captured", ">= 0.9")
    line("submissions and settled lines, commits/s", "submitted and settled", "")
    line("postings moved in a batch (capture, pay)/s", "moved", ">= 3")
    line("lines settled/s, three containers a job", "settled, three a job", ">= 3")
    line("lines settled/s, one container a job", "settled, many machines", "")
    line("lines settled/s, all on one machine", "settled, one machine", "")
    ratio = bench.median("settled, one machine") / bench.median("settled, many machines")
    print(f"one machine : many machines {ratio:.2f} (goal >= 0.9)")
    print(f"{chosen.lines} usage lines settled in {long_s:.1f} s (goal < 60 s)")
    for name in ("holds", "moved", "settled, many machines", "settled, three a job"):
        relative = bench.median(name + _AGED) / bench.median(name + _YOUNG)
        print(f"{name}: {relative:.2f} x with {aged} transfers, of that with {young} beside it (goal 1)")


if __name__ == "__main__":
    main()
