"""Whatever is changed in a closed interval, by whoever, is named."""

from __future__ import annotations

import argparse

import psycopg2
import pytest
from ledger_world import MINUTE, T0, World

from market.credits import invariants
from market.credits.settlement import steps
from market.kit import database, settings
from market.ops.cli import ledger, settle

pytestmark = pytest.mark.database


@pytest.fixture
def settled(world: World) -> World:
    buyer, lender = world.member(), world.member()
    machine = world.machine(lender)
    world.online(machine, T0, T0 + 10 * MINUTE)
    job = world.job(buyer)
    world.container(job, machine, T0, T0 + 8 * MINUTE, role="driver")
    world.end_job(job, T0 + 8 * MINUTE)
    world.mark(T0 + 60 * MINUTE)
    steps.settle(T0 + 15 * MINUTE)
    return world


def _verify(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = ledger.run(settings.load(), argparse.Namespace(action="verify"))
    return code, capsys.readouterr().out


def test_a_ledger_as_it_was_sealed_is_in_order(settled: World, capsys: pytest.CaptureFixture[str]) -> None:
    code, output = _verify(capsys)
    assert code == 0
    assert output.startswith("3 intervals with ")
    with database.transaction() as cursor:
        assert (check := invariants.last_check(cursor)) is not None
    assert (check.wrong, check.row_count) == (0, settled.one("SELECT count(*) FROM sealed_row"))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE transfer SET amount_ucr = amount_ucr + 1 WHERE payee = 'pool'", "journal capture:"),
        ("UPDATE journal SET note = 'x' WHERE kind = 'grant'", "journal signup:"),
        ("DELETE FROM transfer WHERE payer = 'treasury'", "journal signup:"),
        ("UPDATE usage_line SET vcores = 2", "usage_line container_"),
        ("DELETE FROM usage_line", "missing"),
        ("UPDATE charge SET amount_ucr = 0, total_ucr = 0", "charge container_"),
        ("UPDATE rate_tick SET rate_micro = 2 WHERE interval_id = 1", "rate_tick 1: changed"),
        ("UPDATE settlement SET fee_micro = 1 WHERE interval_id = 2", "settlement 2: changed"),
        ("DELETE FROM seal WHERE interval_id = 2", "interval 2: seal 2: missing"),
        ("UPDATE seal SET row_count = row_count + 1 WHERE interval_id = 2", "interval 2: seal 2: changed"),
        (
            "DELETE FROM settlement_step WHERE step = 'seal' AND interval_id = 2; "
            "UPDATE seal SET sha256 = sha256('x') WHERE interval_id = 2",
            "interval 2: seal 2: changed",
        ),
        (
            "DELETE FROM settlement_step WHERE step = 'pay' AND interval_id = 1",
            "interval 1: settlement_step 1 pay: missing",
        ),
        ("UPDATE seal_page SET digests[1] = sha256('x') WHERE interval_id = 1", "seal 1: changed"),
        ("UPDATE seal_page SET version = 2 WHERE interval_id = 1", "rate_tick 1: changed"),
        ("UPDATE hold_entry SET amount_ucr = 1 WHERE kind = 'take'", "hold_entry take:"),
        ("UPDATE account_balance SET used_ucr = used_ucr + 1 WHERE interval_id = 2", "account_balance "),
        ("UPDATE seal_page SET keys[1] = 'x' WHERE kind = 'charge'", "charge x: missing"),
        ("DELETE FROM seal_page WHERE interval_id = 2 AND kind = 'charge'", "@2: added"),
        ("UPDATE account SET granted_ucr = granted_ucr + 1", "zero_sum: all accounts"),
        ("UPDATE hold SET captured_ucr = 0, closed_ms = NULL", "hold: "),
        (
            "INSERT INTO payout VALUES (1, 'f', 'treasury', 0, 0, 1)",
            "interval 1: payout f@1: added",
        ),
        (
            "INSERT INTO journal (key, kind, at_ms) VALUES ('forged', 'grant', 1); TRUNCATE unsealed",
            "posting forged: is neither sealed nor waits for it",
        ),
    ],
)
def test_one_change_is_named(
    settled: World, capsys: pytest.CaptureFixture[str], damage: str, named: str
) -> None:
    settled.sql(f"SET session_replication_role = replica; {damage}")
    code, output = _verify(capsys)
    assert code == 1
    assert named in output
    assert settled.one("SELECT wrong FROM ledger_check") > 0


@pytest.mark.parametrize("table", ["journal", "transfer", "hold_entry", "usage_line", "charge", "seal"])
@pytest.mark.parametrize(
    "damage", ["DELETE FROM {}", "TRUNCATE {} CASCADE", "UPDATE {} SET {column} = {column}"]
)
def test_the_application_can_change_no_posting(settled: World, table: str, damage: str) -> None:
    column = "leg" if table == "transfer" else "key" if table in ("journal", "hold_entry") else "interval_id"
    statement = damage.format(table, table, column=column)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege), database.transaction() as cursor:
        cursor.execute(statement)
    with pytest.raises(psycopg2.Error, match="refused"):
        settled.sql(statement)


@pytest.mark.parametrize(
    ("damage", "refusal"),
    [
        ("INSERT INTO transfer VALUES (999, 1, 'pool', 'fee', 1)", "belongs to no posting"),
        ("INSERT INTO hold_entry VALUES ('x', repeat('f', 32), 'extend', 1, 1, 1)", "belongs to no hold"),
        ("INSERT INTO charge VALUES ('c', 999, 1, 1)", "charge belongs to no interval"),
        ("INSERT INTO final_job VALUES (repeat('f', 32), 999, false)", "final_job belongs to no interval"),
        (
            "INSERT INTO account_balance VALUES (repeat('f', 32), 999, 1, 1, 1)",
            "account_balance belongs to no interval",
        ),
        (
            "INSERT INTO usage_line SELECT 'c', 999, job_id, 1, 'driver', NULL, 'h', 1, 1, 0, 0, 0, 0, false"
            " FROM hold",
            "usage_line belongs to no interval",
        ),
        ("DELETE FROM hold", "its rows stay"),
        ("TRUNCATE hold CASCADE", "refused"),
    ],
)
def test_no_row_is_without_what_it_belongs_to(settled: World, damage: str, refusal: str) -> None:
    with pytest.raises(psycopg2.Error, match=refusal):
        settled.sql(damage)


def test_a_broken_invariant_fails_the_settlement_and_names_the_row(settled: World) -> None:
    settled.sql("UPDATE account SET granted_ucr = granted_ucr + 1 WHERE user_id = %s", f"{1:032x}")

    with pytest.raises(steps.InvariantError, match="zero_sum: all accounts: add up to 1 ucr"):
        steps.settle(T0 + 20 * MINUTE)

    assert settled.one("SELECT count(*) FROM seal") == 3
    with database.transaction() as cursor:
        assert len(invariants.check(cursor)) == 2
        # Nothing was posted to the account since: what is new is in order, and the sum over all is not.
        assert invariants.check(cursor, only_new=True) == ["zero_sum: all accounts: add up to 1 ucr"]
    settled.sql("UPDATE account SET granted_ucr = granted_ucr - 1 WHERE user_id = %s", f"{1:032x}")
    assert len(steps.settle(T0 + 20 * MINUTE)) == 1


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1700000100000", T0),
        ("2023-11-14T22:15:00Z", T0),
        ("2023-11-14T22:15:00", T0),
        ("2023-11-14T23:15:00+01:00", T0),
    ],
)
def test_a_time_on_the_command_line(text: str, at_ms: int) -> None:
    assert settle.until_ms(text) == at_ms


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no time"):
        settle.until_ms("yesterday")


def test_the_command_prints_what_it_settled(settled: World, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = argparse.Namespace(until=T0 + 60 * MINUTE)
    assert settle.run(settings.load(), chosen) == 0
    assert "12" in capsys.readouterr().out
    assert settle.run(settings.load(), chosen) == 0
    assert "settled already" in capsys.readouterr().out
