"""The ledger verifies itself: what is new from a watermark on, everything now and then, also after a kill."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from typing import Any

import psycopg2
import pytest
from ledger_world import MINUTE, T0, World

from market.credits import verification
from market.credits.settlement import steps
from market.credits.verification import Look
from market.kit import alerts, database, settings
from market.kit.errors import BusyError
from market.kit.paging import Page
from market.ops.cli import ledger

pytestmark = pytest.mark.database

_MANY = 100_000
DAY_MS = 86_400_000
BEHIND = "UPDATE rate_tick SET rate_micro = rate_micro + 1 WHERE interval_id = 1"
# The same that is sealed, in the first of three intervals that were compared.
_HISTORY = """
    SET session_replication_role = replica;
    INSERT INTO journal (journal_id, key, kind, at_ms, interval_id) OVERRIDING SYSTEM VALUE
        SELECT 1000000 + n, 'old:' || n, 'stipend', 1, 1 FROM generate_series(1, %(many)s) n;
    INSERT INTO transfer SELECT 1000000 + n, 1, 'treasury', 'pool', 1 FROM generate_series(1, %(many)s) n;
    INSERT INTO hold_entry SELECT 'old:' || n, repeat('f', 32), 'capture', 1, 1, 1, 1
        FROM generate_series(1, %(many)s) n;
    INSERT INTO charge SELECT 'old' || n, 1, 1, 1 FROM generate_series(1, %(many)s) n;
    INSERT INTO payout SELECT 1, 'old' || n, 'treasury', 0, 0, 0 FROM generate_series(1, %(many)s) n;
    INSERT INTO seal_page (interval_id, kind, page, keys, digests)
        SELECT 1, 'charge', 1000 + n / 200, array_agg('old' || n), array_agg(sha256('x'))
        FROM generate_series(1, %(many)s) n GROUP BY n / 200;
    SET session_replication_role = origin;
    ANALYZE;
"""


@pytest.fixture
def settled(world: World) -> World:
    buyer, lender = world.member(), world.member()
    machine = world.machine(lender)
    world.online(machine, T0, T0 + 60 * MINUTE)
    job = world.job(buyer)
    world.container(job, machine, T0, T0 + 8 * MINUTE, role="driver")
    world.end_job(job, T0 + 8 * MINUTE)
    world.mark(T0 + 60 * MINUTE)
    steps.settle(T0 + 15 * MINUTE)
    return world


@pytest.fixture
def compared(settled: World) -> World:
    """Give a ledger of three intervals that were compared a day ago, and a fourth one that was not."""
    look = taken(whole=True)
    assert (look.reached, look.wrong) == (3, 0)
    assert look.row_count == settled.one("SELECT count(*) FROM sealed_row")
    a_day_later(settled)
    settled.grant(f"{1:032x}", 5)
    steps.settle(T0 + 20 * MINUTE)
    return settled


def a_day_later(world: World, days: int = 1) -> None:
    world.sql("UPDATE ledger_look SET began_ms = began_ms - %s", days * DAY_MS)


def taken(whole: bool) -> Look:
    """Take the look that is due to its end."""
    verification.run_pass()
    with database.transaction() as cursor:
        assert verification.open_look(cursor) is None
        look = verification.last_look(cursor)
    assert look is not None
    assert look.whole == whole
    return look


def damaged(world: World, statement: str) -> None:
    world.sql(f"SET session_replication_role = replica; {statement}; SET session_replication_role = origin")


def opened() -> list[str]:
    return [alert.detail for alert in alerts.list_alerts(Page(limit=10)).rows if alert.kind == alerts.LEDGER]


def test_a_look_begins_where_the_last_one_ended(compared: World) -> None:
    look = taken(whole=False)
    assert (look.after_interval, look.reached, look.wrong) == (2, 4, 0)
    assert opened() == []
    verification.run_pass()  # none is due
    assert compared.one("SELECT count(*) FROM ledger_look") == 2


def test_what_was_changed_behind_the_watermark_is_found_by_a_look_at_everything(compared: World) -> None:
    damaged(compared, BEHIND)
    assert taken(whole=False).wrong == 0
    a_day_later(compared, days=7)
    assert taken(whole=True).wrong > 0
    assert "interval 1: rate_tick 1: changed" in opened()[0]
    assert compared.one("SELECT wrong FROM ledger_check ORDER BY at_ms DESC LIMIT 1") > 0


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE rate_tick SET rate_micro = 2 WHERE interval_id = 4", "interval 4: rate_tick 4: changed"),
        ("UPDATE journal SET note = 'x' WHERE key LIKE 'grant:%%'", "interval 4: journal grant:"),
        ("DELETE FROM transfer WHERE amount_ucr = 5", "interval 4: journal grant:"),
        ("DELETE FROM uptime_line WHERE interval_id = 4", "interval 4: uptime_line "),
        ("INSERT INTO payout VALUES (4, 'f', 'treasury', 0, 0, 1)", "interval 4: payout f@4: added"),
        ("DELETE FROM seal WHERE interval_id = 4", "interval 4: seal 4: missing"),
        ("DELETE FROM seal WHERE interval_id = 3", "interval 4: seal 4: changed"),
        (
            "DELETE FROM settlement_step WHERE interval_id = 4 AND step = 'pay'",
            "settlement_step 4 pay: missing",
        ),
        ("DELETE FROM settlement WHERE interval_id = 4", "settlement 4: missing"),
    ],
)
def test_what_was_changed_after_it_is_found_by_the_next_look(
    compared: World, damage: str, named: str
) -> None:
    damaged(compared, damage.replace("%%", "%"))
    assert taken(whole=False).wrong > 0
    assert named in opened()[0]


def test_intervals_that_are_gone_altogether_are_missed(compared: World) -> None:
    tables = ("settlement", "settlement_step", "seal", "seal_page", "rate_tick", "demand_line", "uptime_line")
    for table in tables:
        damaged(compared, f"DELETE FROM {table} WHERE interval_id >= 3")
    assert taken(whole=False).wrong > 0
    assert "interval 3: settlement 3: missing" in opened()[0]


def test_after_a_find_everything_is_looked_at_until_all_is_well(
    compared: World, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged(compared, "UPDATE rate_tick SET rate_micro = rate_micro + 1 WHERE interval_id = 4")
    taken(whole=False)
    for _ in range(2):
        a_day_later(compared)
        assert taken(whole=True).wrong > 0
        assert opened() != []
    damaged(compared, "UPDATE rate_tick SET rate_micro = rate_micro - 1 WHERE interval_id = 4")
    assert opened() != []
    a_day_later(compared)
    assert taken(whole=True).wrong == 0
    assert opened() == []


def test_the_command_trusts_no_watermark_and_clears_the_alert(
    compared: World, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = argparse.Namespace(action="verify")
    damaged(compared, BEHIND)
    assert taken(whole=False).wrong == 0
    assert ledger.run(settings.load(), chosen) == 1
    assert "interval 1: rate_tick 1: changed" in capsys.readouterr().out
    a_day_later(compared, days=7)
    taken(whole=True)
    assert opened() != []
    damaged(compared, "UPDATE rate_tick SET rate_micro = rate_micro - 1 WHERE interval_id = 1")
    assert ledger.run(settings.load(), chosen) == 0
    assert opened() == []


def test_a_look_at_everything_asks_invariants_and_what_was_published(
    compared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        verification.seal_log, "differences", lambda *_: ["interval 2: seal 2: not as it was published"]
    )
    damaged(compared, "INSERT INTO journal (key, kind, at_ms) VALUES ('forged', 'grant', 1)")
    assert compared.one("SELECT open_interval()") is None
    assert taken(whole=False).wrong == 0
    a_day_later(compared, days=7)
    assert taken(whole=True).wrong >= 2
    assert "posting forged: is neither sealed nor waits for it" in opened()[0]
    assert "seal 2: not as it was published" in opened()[0]


def test_a_look_that_was_killed_goes_on(compared: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each piece, and in the middle of one: nothing is compared twice, and nothing is left out."""
    small = compared.one("SELECT pg_get_functiondef('look_until'::regproc)").replace("20000", "1")
    compared.sql(small)
    damaged(compared, "UPDATE rate_tick SET rate_micro = rate_micro + 1 WHERE interval_id IN (1, 4)")
    a_day_later(compared, days=7)
    monkeypatch.setattr(verification, "_WORKS_S", 0.0)  # each pass does one piece
    verification.run_pass()
    for interval in (1, 2):
        verification.run_pass()
        with database.transaction() as cursor:
            look = verification.open_look(cursor)
        assert look is not None
        assert (look.reached, look.until_interval, look.wrong) == (interval, 4, 1)
    monkeypatch.setattr(verification, "_tell", _killed)
    with pytest.raises(KeyboardInterrupt):
        verification.run_pass()
    with database.transaction() as cursor:
        assert verification.open_look(cursor) == look
    monkeypatch.undo()
    monkeypatch.setenv("MARKET_DATABASE_URL", compared.server.url("market_app"))
    ended = taken(whole=True)
    assert ended.began_ms == look.began_ms
    assert ended.row_count == compared.one("SELECT count(*) FROM sealed_row")
    # Seals are made of the pages' digests, so the two rows are all that is wrong, with what invariants say.
    assert ended.wrong == 2 + compared.one("SELECT count(*) FROM violations(false)")


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_the_database_s_limit_on_a_piece_is_told(compared: World, monkeypatch: pytest.MonkeyPatch) -> None:
    compared.sql(
        "CREATE OR REPLACE FUNCTION look_until(after bigint, last bigint) RETURNS bigint LANGUAGE sql"
        " AS 'SELECT last FROM pg_sleep(5)'"
    )
    monkeypatch.setattr(verification, "SETTLEMENT", verification.SETTLEMENT.__class__(1, 1, 1))
    with pytest.raises(BusyError):
        verification.run_pass()
    with database.transaction() as cursor:
        look = verification.open_look(cursor)
    assert look is not None
    assert look.reached == 2


def test_what_a_look_reads_does_not_grow_with_the_history(compared: World) -> None:
    """Rows that are read tell, not the clock: a hundred thousand of each kind lie behind the watermark."""
    with compared.connection.cursor() as cursor:
        cursor.execute(_HISTORY, {"many": _MANY})
        cursor.execute("BEGIN; SELECT begin_look(false)")
        before = _rows_read(cursor)
        cursor.execute("SELECT look_further(), end_look('{}')")
        read = _rows_read(cursor) - before
        cursor.execute("COMMIT")
    assert read["rate_tick"] > 0  # the measure itself
    assert {name: count for name, count in read.items() if count > 500} == {}
    with database.transaction() as cursor:
        look = verification.last_look(cursor)
    assert look is not None
    assert (look.after_interval, look.reached, look.wrong) == (2, 4, 0)


def _rows_read(cursor: Any) -> Counter[str]:
    """Return how many rows of each table this transaction has read."""
    cursor.execute(
        "SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS read"
        " FROM pg_stat_xact_user_tables WHERE schemaname = 'market'"
    )
    return Counter({row.relname: row.read for row in cursor.fetchall() if row.read})


def test_a_piece_has_a_bound_and_all_pieces_are_everything(compared: World) -> None:
    damaged(
        compared,
        "INSERT INTO settlement SELECT n, n, n + 1, 0, 0, 0, 1, 1, 1, 1, 1, 0"
        " FROM generate_series(5, 2000) n;"
        " INSERT INTO seal SELECT n, CASE WHEN n < 50 THEN 15000 ELSE 1 END, 'x'"
        " FROM generate_series(5, 1900) n WHERE n NOT BETWEEN 700 AND 1400;"
        " INSERT INTO settlement_step VALUES (2000, 'seal', 1)",
    )
    reached = 0
    ends = []
    for upto, last, _ in verification.pieces():
        assert last == 2000
        assert reached < upto <= reached + 500
        rows = compared.sql(
            "SELECT row_count FROM seal WHERE interval_id > %s AND interval_id <= %s", reached, upto
        )
        assert sum(row.row_count for row in rows[:-1]) < 20_000
        reached = upto
        ends.append(upto)
    assert ends[-1] == 2000
    assert ends[0] == 6


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_look SET until_interval = 9",
        "DELETE FROM ledger_look",
        "INSERT INTO ledger_look (whole, began_ms, after_interval, until_interval, reached)"
        " VALUES (true, 1, 0, 9, 9)",
    ],
)
def test_the_application_cannot_forge_the_watermark(compared: World, statement: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege), database.transaction() as cursor:
        cursor.execute(statement)


def test_the_application_cannot_end_what_was_not_compared(compared: World) -> None:
    with database.transaction() as cursor:
        cursor.execute("SELECT begin_look(false)")
        cursor.execute("SELECT end_look('{}')")
        look = verification.open_look(cursor)
        assert look is not None
        assert look.reached == 2
        cursor.execute("SELECT begin_look(true)")  # one is open already
        assert verification.open_look(cursor) == look


def test_none_is_taken_where_the_settings_say_so(settled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = settings.load()
    off = replace(loaded, credits=replace(loaded.credits, verify_every_s=0))
    monkeypatch.setattr(settings, "load", lambda: off)
    verification.run_pass()
    assert settled.one("SELECT count(*) FROM ledger_look") == 0


def test_a_market_with_nothing_sealed_is_in_order(world: World) -> None:
    assert taken(whole=True).until_interval == 0
    a_day_later(world)
    assert taken(whole=False).wrong == 0
