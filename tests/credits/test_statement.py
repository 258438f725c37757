from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ledger_world import MINUTE, T0, World

from market.credits import grants
from market.credits.settlement import intervals
from market.credits.settlement.steps import settle
from market.credits.statement import as_beancount, as_csv, statement
from market.credits.summary import summary
from market.kit import database
from market.kit.errors import NotFoundError
from market.kit.money import parse_credits
from market.kit.paging import Page
from market.kit.vocabulary import JOURNAL_KINDS

pytestmark = pytest.mark.database

NEXT_DAY = T0 + 110 * MINUTE  # past midnight


@pytest.fixture
def lender(world: World) -> str:
    """Give somebody with every kind of posting, over two days."""
    member, other = world.member(), world.member()
    machine = world.machine(member)
    for start in (T0, NEXT_DAY):
        world.online(machine, start, start + 5 * MINUTE)
        own, lost = (world.job(user, hold_ucr=1_000_000, at=start) for user in (member, other))
        world.container(own, machine, start, start + 2 * MINUTE, role="driver")
        world.container(lost, machine, start, start + 2 * MINUTE, role="driver")
        world.end_job(own, start + 2 * MINUTE)
        world.end_job(lost, start + 2 * MINUTE)
    broken = world.job(member, hold_ucr=100_000)
    world.container(broken, world.machine(None), T0, T0 + MINUTE, role="driver")
    world.end_job(broken, T0 + MINUTE, reason_code="pool_failure")
    for buyer, at in ((member, world.machine(other)), (other, machine)):
        taken_away = world.job(buyer, hold_ucr=100_000)
        world.container(taken_away, at, T0, T0 + 7 * MINUTE, "node_lost", role="driver")
        world.end_job(taken_away, T0 + 7 * MINUTE, reason_code="pool_failure")
    world.transfer(member, world.project(other), 1_000)
    world.mark(NEXT_DAY + 60 * MINUTE)
    settle(NEXT_DAY + 5 * MINUTE)
    return member


def test_the_lines_lead_to_the_balance(world: World, lender: str) -> None:
    lines = statement(lender)

    assert {line["kind"] for line in lines} == set(JOURNAL_KINDS)
    assert lines == sorted(lines, key=lambda line: line["at"])
    running = 0
    for line in lines:
        running += parse_credits(line["amount"])
        assert parse_credits(line["balance"]) == running
    assert summary(lender)["balance"] == lines[-1]["balance"]
    assert next(line["words"] for line in lines if line["kind"] == "capture") == "Job digits"
    assert all(line["machine_id"] for line in lines if line["kind"] in ("pay", "stipend"))


def test_of_a_return_each_sees_his_own_part(world: World, lender: str) -> None:
    given, got = sorted(
        (line for line in statement(lender) if line["kind"] == "return"),
        key=lambda line: parse_credits(line["amount"]),
    )
    assert parse_credits(given["amount"]) < 0 < parse_credits(got["amount"])
    assert (given["job_id"], got["machine_id"]) == (None, None)
    assert given["machine_id"]
    assert got["job_id"]
    assert given["words"].startswith("Returned: m")
    assert got["words"] == "Returned by a lender for job digits"


def test_csv_has_the_same_lines(world: World, lender: str) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(statement(lender)))))
    assert [row["balance"] for row in rows] == [line["balance"] for line in statement(lender)]
    assert rows[0]["time"] == "2023-11-14T22:15:00.000Z"


def test_beancount_asserts_a_balance_for_each_day(world: World, lender: str, tmp_path: Path) -> None:
    with database.transaction() as cursor:
        cursor.execute("SELECT grant_credit(%s, 5, 'for \"a\\b\"' || chr(10) || 'x', 'k', %s)", [lender, T0])
    text = as_beancount(statement(lender))

    assert [line for line in text.splitlines() if line.split()[1:2] == ["balance"]] == [
        f"2023-11-15 balance Assets:Market  {_balance_at(lender, '2023-11-14')} UCR",
        f"2023-11-16 balance Assets:Market  {parse_credits(summary(lender)['balance'])} UCR",
    ]
    program = shutil.which("bean-check", path=str(Path(sys.executable).parent))
    assert program, "bean-check comes with requirements-test.txt"
    file = tmp_path / "statement.beancount"
    file.write_text(text)
    checked = subprocess.run([program, str(file)], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


def _balance_at(user_id: str, day: str) -> int:
    rows = csv.DictReader(io.StringIO(as_csv(statement(user_id))))
    return [parse_credits(row["balance"]) for row in rows if row["time"].startswith(day)][-1]


def test_nobody_without_postings_breaks_a_format(world: World) -> None:
    member = world.member(credits_ucr=0)
    assert statement(member) == []
    assert as_csv([]).count("\n") == 1
    assert "open" not in as_beancount([])


def test_a_note_is_no_formula() -> None:
    line = {"at": T0, "kind": "grant", "amount": "1.000000", "balance": "1.000000", "note": "=1+1"}
    empty = dict.fromkeys(("job_id", "machine_id", "payer", "submitter"))
    assert "'=1+1" in as_csv([line | empty])


def test_the_summary_adds_up(world: World, lender: str) -> None:
    credits = {name: parse_credits(text) for name, text in summary(lender).items() if name != "user_id"}
    came = credits["granted"] + credits["sharing_credit"] + credits["transferred"]
    assert credits["balance"] == came - credits["using_credit"]
    assert credits["transferred"] == -1_000
    assert credits["available"] == credits["balance"] - credits["held"]
    assert credits["sharing_credit"] > 0


def test_a_grant_is_given_with_its_answer_or_not_at_all(world: World) -> None:
    admin, member = world.member(), world.member()
    kept: list[Any] = []
    assert grants.give(admin, member, "2.5", "thanks", lambda _, answer: kept.append(answer)) == kept[0]
    assert kept[0]["balance"] == "17.500000"

    def die(cursor: database.Cursor, answer: Mapping[str, Any]) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        grants.give(admin, member, "2.5", "thanks", die)
    assert grants.give(admin, member, "2.5", "thanks")["balance"] == "20.000000"
    with pytest.raises(NotFoundError):
        grants.give(admin, "f" * 32, "1", "x")
    assert statement(member)[-1]["note"] == "thanks"
    assert world.violations() == []


def test_settlements_are_listed_with_what_moved(world: World, lender: str) -> None:
    listing = intervals.list_settlements(Page(limit=1))
    assert listing.total == 23
    newest = listing.rows[0]
    assert newest["until"] == NEXT_DAY + 5 * MINUTE
    assert parse_credits(newest["captured"]) == parse_credits(newest["paid"]) + parse_credits(newest["fee"])
    assert len(newest["seal"]) == 64
    rows = intervals.list_settlements(Page(limit=100)).rows
    paid = [sum(parse_credits(row[name]) for row in rows) for name in ("paid_to_lenders", "paid_to_treasury")]
    posted = "SELECT sum(amount_ucr)::bigint FROM transfer JOIN journal USING (journal_id) WHERE kind = 'pay'"
    assert paid == [
        world.one(f"{posted} AND length(payee) = 32"),
        world.one(f"{posted} AND payee = 'treasury'") or 0,
    ]
    assert sum(paid) == sum(parse_credits(row["paid"]) for row in rows)
    settlement = intervals.settlement(newest["interval_id"])
    assert settlement["steps"] == ["freeze", "price", "capture", "pay", "reconcile", "seal"]
    with pytest.raises(NotFoundError):
        intervals.settlement(10_000)


def test_the_trial_balance_is_zero(world: World, lender: str) -> None:
    with database.transaction() as cursor:
        balance = intervals.trial_balance(cursor)
    assert balance["sum"] == "0.000000"
    assert [line["account"] for line in balance["accounts"]][:3] == ["fee", "pool", "treasury"]
    assert {line["user_id"] for line in balance["accounts"][3:]} >= {lender}
