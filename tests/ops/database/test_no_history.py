"""What is asked all the time reads what is open or new, however much there was: rows that are read tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import servers
from ledger_world import MINUTE, T0, World

from market.airflow import auth_manager
from market.kit import alerts, database
from market.kit.paging import Page
from market.machines import earnings
from market.metering import queries
from market.web.api.metrics.rows import Rows

pytestmark = pytest.mark.database

_MANY = 100_000
_NOW = T0 + 1_000_000 * MINUTE
_HISTORY = """
    SET session_replication_role = replica;
    INSERT INTO machine (machine_id, user_id, machine_type, display_name, ip_address, service_port,
                         core_count, memory_mib, time_period_s, state, created_ms, lease_end_ms, left_ms)
        SELECT 'a' || lpad(to_hex(n), 31, '0'), %(lender)s, 'cpu', 'old' || n,
               '10.1.' || n / 250 || '.' || n %% 250, 8041, 4, 8192, 3600, 'left', %(t0)s + n, %(t0)s + n,
               %(t0)s + n
        FROM generate_series(1, %(many)s) n;
    INSERT INTO machine_presence
        SELECT 'a' || lpad(to_hex(n), 31, '0'), %(t0)s + n, %(t0)s + n + 1000, 4
        FROM generate_series(1, %(many)s) n;
    INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro, weight_micro,
                     gib_weight_micro, status, added_ms, started_ms, ended_ms, withdrawn, dag_deleted_ms,
                     results_ms, logs_ms, discarded_ms)
        SELECT 'b' || lpad(to_hex(n), 31, '0'), %(buyer)s, 'old', '{}', 'cpu', 1, 1, 1, 1, 'succeeded',
               %(t0)s + n, %(t0)s + n, %(t0)s + n + 1000, true, 1, 1, 1, 1
        FROM generate_series(1, %(many)s) n;
    INSERT INTO hold (job_id, user_id, amount_ucr, captured_ucr, rate_micro, weight_micro, gib_weight_micro,
                      taken_ms, expires_ms, closed_ms)
        SELECT 'b' || lpad(to_hex(n), 31, '0'), %(buyer)s, 1, 1, 1, 1, 1, %(t0)s, %(t0)s, %(t0)s
        FROM generate_series(1, %(many)s) n;
    INSERT INTO container_usage
        SELECT 'old_' || n, 'b' || lpad(to_hex(n), 31, '0'), 'a_' || n, 1, 'driver', 'n:1', 'h',
               %(machine)s, 1, 1024, %(t0)s + n, %(t0)s + n + 500, %(t0)s + n + 1000, 'finished'
        FROM generate_series(1, %(many)s) n;
    INSERT INTO payout
        SELECT n, %(machine)s, %(lender)s, 5, 0, 0 FROM generate_series(1, %(many)s) n;
    INSERT INTO alert (at_ms, first_ms, kind, subject, detail, cleared_ms)
        SELECT %(t0)s + n, %(t0)s + n, 'given_up', n, '', %(t0)s + n FROM generate_series(1, %(many)s) n;
    INSERT INTO settlement
        SELECT n, %(t0)s + n, %(t0)s + n + 1, 0, 0, 0, 1, 1, 1, 1, 1, 0 FROM generate_series(1, %(many)s) n;
    SET session_replication_role = origin;
    ANALYZE;
"""


@pytest.fixture(scope="module")
def past(ledger_server: servers.Database) -> Iterator[SimpleNamespace]:
    """Give a market with a long past and little that is open: a machine that works, a job that runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARKET_DATABASE_URL", ledger_server.url("market_app"))
        world = World(ledger_server)
        yield _with_past(world)
        world.close()


@pytest.fixture
def old(
    past: SimpleNamespace, ledger_server: servers.Database, monkeypatch: pytest.MonkeyPatch
) -> SimpleNamespace:
    monkeypatch.setenv("MARKET_DATABASE_URL", ledger_server.url("market_app"))
    return past


def _with_past(world: World) -> SimpleNamespace:
    lender, buyer = world.member(), world.member()
    machine = world.machine(lender)
    world.sql("UPDATE machine SET state = 'active' WHERE machine_id = %s", machine)
    values: dict[str, Any] = {"lender": lender, "buyer": buyer, "machine": machine, "t0": T0, "many": _MANY}
    with world.connection.cursor() as cursor:
        cursor.execute(_HISTORY, values)
    job = world.job(buyer, at=_NOW - 4 * MINUTE)
    world.online(machine, _NOW - 4 * MINUTE, _NOW)
    world.container(job, machine, _NOW - 3 * MINUTE)
    world.mark(_NOW)
    return SimpleNamespace(world=world, machine=machine, job=job, buyer=buyer)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the rows of each table that transactions of this process read, whichever way."""
    counted: Counter[str] = Counter()
    real = database.transaction

    @contextmanager
    def counting(*arguments: Any) -> Iterator[database.Cursor]:
        with real(*arguments) as cursor:
            before = rows_read(cursor)
            yield cursor
            counted.update(rows_read(cursor) - before)

    monkeypatch.setattr(database, "transaction", counting)
    return counted


def rows_read(cursor: database.Cursor) -> Counter[str]:
    """Return how many rows of each table this session has read since the server took its figures down."""
    cursor.execute(
        "SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS read"
        " FROM pg_stat_xact_user_tables WHERE schemaname = 'market'"
    )
    return Counter({row.relname: row.read for row in cursor.fetchall() if row.read})


def test_a_history_is_told_where_it_is_read(old: SimpleNamespace, read: Counter[str]) -> None:
    """The measure itself: a query that reads everything shows."""
    with database.transaction() as cursor:
        cursor.execute("SELECT count(job_name) FROM job")
    assert read["job"] >= _MANY


def test_the_meter_looks_at_machines_that_may_run_something(old: SimpleNamespace, read: Counter[str]) -> None:
    with database.transaction() as cursor:
        found = queries.machines(cursor, False, _NOW)
    assert [machine.machine_id for machine in found.values()] == [old.machine]
    assert read["machine"] < 100


def test_airflow_is_told_of_dags_that_it_still_has(old: SimpleNamespace, read: Counter[str]) -> None:
    old.world.sql("UPDATE member SET fab_user_id = 77 WHERE user_id = %s", old.buyer)
    assert auth_manager._own_dags(SimpleNamespace(id=77)) == {f"job_{old.job}"}
    assert read["job"] < 100


def test_an_agent_s_request_adds_up_what_is_new(old: SimpleNamespace, read: Counter[str]) -> None:
    with database.transaction() as cursor:
        assert earnings.earned_ucr(cursor, old.machine) == 5 * _MANY
    read.clear()
    with database.transaction() as cursor:
        assert earnings.earned_ucr(cursor, old.machine) == 5 * _MANY
    assert read["payout"] < 100


def test_uptime_of_an_interval_reads_the_interval(old: SimpleNamespace) -> None:
    """A machine that has run a hundred thousand containers, of which one is in the interval."""
    with old.world.connection.cursor() as cursor:
        cursor.execute("BEGIN")
        before = rows_read(cursor)
        cursor.execute("SELECT freeze_uptime(%s, %s, %s)", [_MANY, _NOW - 5 * MINUTE, _NOW])
        read = rows_read(cursor) - before
        cursor.execute("SELECT online_ms, used_core_ms, idle_core_ms FROM uptime_line")
        assert [tuple(row) for row in cursor.fetchall()] == [(4 * MINUTE, 3 * MINUTE, 13 * MINUTE)]
        cursor.execute("ROLLBACK")
    assert max(read[name] for name in ("container_usage", "machine_presence", "machine")) < 100


def test_a_scrape_and_the_list_of_alerts_read_what_is_open(
    old: SimpleNamespace, read: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("market.web.api.metrics.rows.now_ms", lambda: _NOW)
    Rows().families()
    assert alerts.list_alerts(Page()).total == 0
    wrong = {name: count for name, count in read.items() if count >= 1000}
    assert wrong == {}
