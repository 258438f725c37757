"""What was put into the ledger by hand is found between two settlements, and is not sealed."""

from __future__ import annotations

import pytest
from ledger_world import MINUTE, T0, World

from market.credits import watch
from market.credits.settlement import steps
from market.kit import alerts
from market.kit.paging import Page

pytestmark = pytest.mark.database

_PUT_IN = """
    WITH made AS (INSERT INTO journal (key, kind, at_ms, interval_id, job_id, note)
                  VALUES ({key}, '{kind}', 1, {interval}, {job}, '') RETURNING journal_id)
    INSERT INTO transfer SELECT journal_id, 1, '{payer}', '{{user}}', 6000000 FROM made;
    UPDATE account SET {column} WHERE user_id = '{{user}}'
"""


def put_in(
    kind: str,
    column: str,
    key: str = "'x'",
    interval: str = "NULL",
    job: str = "NULL",
    payer: str = "treasury",
) -> str:
    return _PUT_IN.format(kind=kind, column=column, key=key, interval=interval, job=job, payer=payer)


GRANTED, SHARED, USED = (
    "granted_ucr = granted_ucr + 6000000",
    "shared_ucr = shared_ucr + 6000000",
    "used_ucr = used_ucr - 6000000",
)
LEDGER_LOOK = "SELECT subject, detail FROM alert WHERE kind = 'ledger'"


@pytest.fixture
def buyer(world: World) -> str:
    """Give somebody who has paid 8 credits for a job, which the settlement of the first interval took."""
    user, lender = world.member(), world.member()
    job = world.job(user, hold_ucr=8_000_000)
    machine = world.machine(lender, cores=200)
    world.container(job, machine, T0, T0 + 5 * MINUTE, vcores=100, memory_mib=1024)
    world.end_job(job, T0 + 5 * MINUTE)
    world.mark(T0 + 60 * MINUTE)
    steps.settle(T0 + 5 * MINUTE)
    assert world.balances(user).using_ucr == 8_000_000
    watch.run_pass()
    assert world.sql(LEDGER_LOOK) == []
    return user


JOB = "(SELECT max(job_id::text) FROM job)"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE account SET granted_ucr = granted_ucr + 1 WHERE user_id = '{user}'", "add up to 1 ucr"),
        (put_in("grant", GRANTED), "names nobody who gave it"),
        (put_in("grant", GRANTED, "'signup:' || repeat('f', 32)"), "names nobody who gave it"),
        (put_in("grant", GRANTED, "'grant:' || repeat('f', 32) || ':{user}:1'"), "names nobody who gave it"),
        ("SELECT grant_credit('{user}', 6000000, 'for nothing', 'mine')", "names nobody who gave it"),
        ("SELECT refund_charge({job}, 6000000, 'for nothing', 'mine')", "names nobody who gave it"),
        (put_in("refund", USED, job=JOB), "names nobody who gave it"),
        (put_in("refund", USED, interval="1", job=JOB), "add up to 6000000 ucr"),
        (put_in("stipend", SHARED, interval="1"), "add up to 6000000 ucr"),
        (put_in("grant", GRANTED, "'grant:{user}:{user}:1'", payer="pool"), "the wrong account"),
    ],
)
def test_what_was_put_in_is_found(world: World, buyer: str, damage: str, said: str) -> None:
    world.sql(damage.replace("{job}", JOB).replace("{{user}}", buyer).replace("{user}", buyer))
    watch.run_pass()
    assert said in "\n".join(row.detail for row in world.sql(LEDGER_LOOK))
    listed = alerts.list_alerts(Page(limit=10, offset=0, order_by="", descending=True))
    assert listed.rows[0].kind == "ledger"
    with pytest.raises(steps.InvariantError, match=said):
        steps.settle(T0 + 10 * MINUTE)


def test_what_is_put_in_while_the_interval_is_settled_is_not_sealed(world: World, buyer: str) -> None:
    interval = steps.freeze(T0 + 10 * MINUTE)
    for step in (steps.price, steps.capture, steps.pay, steps.reconcile):
        step(interval)
    world.grant(buyer, 5)
    world.sql("SELECT grant_credit(%s, 7, 'for nothing', 'mine')", buyer)

    with pytest.raises(steps.InvariantError, match="posting mine: names nobody"):
        steps.seal(interval)
    assert world.one("SELECT count(*) FROM seal") == 1

    world.sql(
        "SET session_replication_role = replica; DELETE FROM transfer WHERE amount_ucr = 7;"
        " DELETE FROM journal WHERE key = 'mine'; DELETE FROM unsealed WHERE key = 'mine';"
        " UPDATE account SET granted_ucr = granted_ucr - 7 WHERE user_id = %s;"
        " SET session_replication_role = origin",
        buyer,
    )
    steps.seal(interval)
    assert world.one("SELECT count(*) FROM unsealed") == 0
    assert world.violations() == []
