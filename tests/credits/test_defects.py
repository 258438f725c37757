"""A ledger with a mistake in it is noticed: by an invariant, or by a CHECK of the schema.

Each mistake is put into a function of a copy of the database; then a small market lives through four
intervals, in which every rule has something to do.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import psycopg2
import pytest
from ledger_world import MINUTE, RATE, T0, World, given

from market.credits import ledger
from market.credits.settlement.steps import InvariantError, settle
from market.kit import database, settings
from market.kit.errors import NotEnoughCreditError

pytestmark = pytest.mark.database

# Name, function, what is right in it, the mistake, who notices.
DEFECTS = [
    ("the guard of a hold is dropped", "set_aside", "AND available_ucr(a) >= amount", "", "account"),
    (
        "a submission that is sent again is held again",
        "take_hold",
        "ON CONFLICT (job_id) DO NOTHING;",
        "ON CONFLICT (job_id) DO UPDATE SET amount_ucr = hold.amount_ucr + excluded.amount_ucr;",
        "hold",
    ),
    (
        "a released hold stays on the account",
        "release_hold",
        "SET held_ucr = held_ucr - h.amount_ucr",
        "SET held_ucr = held_ucr",
        "account",
    ),
    (
        "an extension takes nothing from the account",
        "extend_hold",
        "set_aside(h.user_id, new_amount - h.amount_ucr)",
        "set_aside(h.user_id, 0)",
        "account",
    ),
    (
        "charges are computed in floats",
        "freeze_usage",
        "cost_ucr(h, c.vcores, c.memory_mib, n.charged_ms)",
        "round((h.rate_micro::real * (h.weight_micro::real * c.vcores + h.gib_weight_micro::real"
        " * c.memory_mib / 1024) * n.charged_ms::real / 3.6e18)::real * 1e6)::bigint",
        "charge",
    ),
    (
        "a container is charged beyond its end",
        "freeze_usage",
        "least(until, coalesce(c.end_ms, c.last_seen_ms)) - c.start_ms",
        "until - c.start_ms",
        "charge",
    ),
    (
        "what a lost node held is charged",
        "freeze_usage",
        "CASE WHEN s.lost THEN s.before_ms",
        "CASE WHEN false THEN s.before_ms",
        "charge",
    ),
    (
        "a charge may exceed the hold",
        "charge_jobs",
        "least(due, left_ucr - coalesce(sum(due) OVER",
        "least(due, 9000000000000000 - coalesce(sum(due) OVER",
        "CHECK hold_check",
    ),
    (
        "a capture does not reach the account",
        "take_from_accounts",
        "used_ucr = used_ucr + e.captured",
        "used_ucr = used_ucr",
        "zero_sum",
    ),
    (
        "the rate is computed in floats",
        "settle_price",
        "SELECT (next_tick(s, d, before)).* FROM settlement s JOIN demand_line d USING (interval_id)",
        "SELECT n.interval_id, n.utilisation_micro, n.error_micro, n.x_micro,"
        " ceil(s.initial_rate_micro * exp(n.x_micro::real / 8000000))"
        " FROM settlement s JOIN demand_line d USING (interval_id) "
        " CROSS JOIN LATERAL next_tick(s, d, before) n",
        "tick",
    ),
    (
        "lenders are paid twice",
        "post_payouts",
        "p.captured_ucr - p.fee_ucr)",
        "2 * p.captured_ucr)",
        "payout",
    ),
    (
        "what a lender earned is booked as a grant",
        "post_payouts",
        "SET shared_ucr = shared_ucr + p.ucr",
        "SET granted_ucr = granted_ucr + p.ucr",
        "account",
    ),
    (
        "a sealed balance forgets what came before",
        "take_balances",
        "coalesce(b.used_ucr, 0) + m.used",
        "m.used",
        "account",
    ),
    ("a fee gets lost", "post_payouts", "leg.ucr > 0;", "leg.ucr > 0 AND leg.payee <> 'fee';", "payout"),
    (
        "somebody else is paid",
        "payout_due",
        "coalesce(m.user_id, 'treasury') AS payee",
        "coalesce((SELECT min(o.user_id) FROM machine o WHERE o.user_id <> m.user_id), 'treasury') AS payee",
        "payee",
    ),
    (
        "the stipend has no bound",
        "payout_due",
        "least(s.stipend_cap_ucr, div(",
        "greatest(s.stipend_cap_ucr + 1, div(",
        "supply",
    ),
    (
        "a refund is more than what was paid",
        "refund_due",
        "least(ucr, greatest(",
        "least(2 * ucr, greatest(",
        "CHECK within_what_was_paid",
    ),
    (
        "a lender keeps what he earned from an attempt that he lost",
        "refund_due",
        "THEN p.earned_ucr ELSE 0 END AS return_ucr",
        "THEN 0 ELSE 0 END AS return_ucr",
        "refund",
    ),
    (
        "the machine that lost an attempt is not found out",
        "lost_driver",
        "IN ('node_lost', 'drained')",
        "IN ('drained')",
        "refund",
    ),
    (
        "somebody is given back what he paid himself",
        "refund_due",
        "p.paid_ucr, p.own_ucr,",
        "p.paid_ucr, 0::bigint AS own_ucr,",
        "refund",
    ),
    (
        "the treasury's refunds have no bound",
        "refund_due",
        "greatest(0, s.refund_bound_ucr - refunded_that_day(s, submitter) - before_ucr)",
        "9000000000000000",
        "supply",
    ),
    (
        "what a lender gives back is not taken from him",
        "post_refunds",
        "SET shared_ucr = shared_ucr - back.ucr",
        "SET shared_ucr = shared_ucr",
        "zero_sum",
    ),
    (
        "a lender gives back more than he owes",
        "owed",
        "r.return_ucr - coalesce(p.ucr, 0)",
        "r.return_ucr + 1",
        "refund",
    ),
    (
        "a refund is posted that no settlement made",
        "post_refunds",
        "'refund:' || job_id || ':' || attempt, 'refund', until",
        "'refund:' || job_id || ':' || attempt || '!', 'refund', until",
        "refund",
    ),
    (
        "more is given back than was paid",
        "refund_charge",
        "IF amount > left_ucr THEN",
        "IF false THEN",
        "refund",
    ),
    (
        "uptime is counted twice",
        "freeze_uptime",
        "sum(least(p.to_ms, until) - greatest(p.from_ms, since))::bigint AS online_ms",
        "2 * sum(least(p.to_ms, until) - greatest(p.from_ms, since))::bigint AS online_ms",
        "uptime",
    ),
    (
        "an interval does not begin where the last one ended",
        "settle_freeze",
        "since := coalesce(last.until_ms,",
        "since := coalesce(last.until_ms + 1,",
        "sealed_once",
    ),
    (
        "a seal takes the ids above the last one",
        "settle_seal",
        "array_agg(key) FILTER (WHERE kind = 'journal')",
        "array_agg(key) FILTER (WHERE kind = 'journal' AND (SELECT journal_id FROM journal j"
        " WHERE j.key = claimed.key) > (SELECT coalesce(max(b.journal_id), 0)"
        " FROM sealed_row r JOIN journal b USING (key) WHERE r.kind = 'journal'))",
        "sealed_once",
    ),
]


@pytest.fixture
def fee(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = settings.load()
    other = replace(
        loaded,
        credits=replace(
            loaded.credits,
            fee="0.100000",
            stipend_per_core_hour="1.000000",
            stipend_cap_per_interval="0.000100",
            refund_bound="0.150000",
        ),
    )
    monkeypatch.setattr(settings, "load", lambda *arguments: other)


def put_in(world: World, function: str, right: str, wrong: str) -> None:
    """Replace a part of a function's text, which must be there."""
    text = world.one("SELECT pg_get_functiondef(%s::regproc)", f"market.{function}")
    assert right in text, f"{function} does not say {right!r} any more"
    world.sql(text.replace(right, wrong))


def live(world: World) -> None:
    """Let a small market live through four intervals."""
    buyer, other, lender, second, patient = (world.member() for _ in range(5))
    machines = [world.machine(lender), world.machine(second), world.machine(None)]
    for machine in machines[:2]:
        world.online(machine, T0, T0 + 15 * MINUTE)
    for minute in range(15):
        world.demand(T0 + minute * MINUTE, total=10, used=9)
    long, short, lost, refunded, taken, never, kept = (world.job(buyer, hold_ucr=500_000) for _ in range(7))
    for number, machine in enumerate(machines):
        world.container(long, machine, T0 + number, T0 + 12 * MINUTE + 77, vcores=2, memory_mib=1000 + number)
        world.container(short, machine, T0 + 1, T0 + 4 * MINUTE)
    world.sql("UPDATE container_usage SET last_seen_ms = least(last_seen_ms, end_ms)")
    world.container(lost, machines[0], T0, T0 + 7 * MINUTE, "node_lost")
    world.container(refunded, machines[1], T0, T0 + 6 * MINUTE, role="driver")
    world.container(taken, machines[0], T0, T0 + 7 * MINUTE, "node_lost", role="driver")
    for machine in (machines[1], world.machine(buyer)):
        world.container(taken, machine, T0, T0 + 7 * MINUTE)
    over = world.job(other, hold_ucr=1_000)
    world.container(over, machines[0], T0, T0 + 9 * MINUTE)
    for job, minute in ((long, 13), (short, 4), (lost, 8), (refunded, 7), (taken, 8), (over, 9), (never, 1)):
        code = "pool_failure" if job in (refunded, taken) else None
        world.end_job(job, T0 + minute * MINUTE + 500, reason_code=code)
    world.mark(T0 + 60 * MINUTE)
    late = database.connect()
    with late.cursor() as early:
        late_key = given("grant", buyer, patient, "late")
        ledger.grant(early, patient, 5, "drawn early, committed late", late_key, T0)
        with database.transaction() as cursor:
            ledger.grant(cursor, other, 7, "between", given("grant", buyer, other, "between"), T0)
            ledger.take_hold(cursor, kept, buyer, 500_000, RATE, T0 + 86_400_000, T0)
            ledger.extend_hold(cursor, kept, 2_000_000, "extended", T0)
            ledger.release_hold(cursor, never, "never", T0)
        try:
            with database.transaction() as cursor:
                greedy = "fe" * 16
                world.job_row(greedy, buyer)
                ledger.take_hold(cursor, greedy, buyer, 14_000_000, RATE, T0 + 86_400_000, T0)
        except NotEnoughCreditError:
            pass
        settle(T0 + 5 * MINUTE)
        late.commit()
    late.close()
    settle(T0 + 15 * MINUTE)
    with database.transaction() as cursor:
        ledger.refund(cursor, short, 100, "sorry", given("refund", other, short, "given back"), T0)
    try:
        with database.transaction() as cursor:
            too_much = world.hold(short).captured_ucr
            ledger.refund(cursor, short, too_much, "all", given("refund", other, short, "too much"), T0)
    except ledger.RefundTooLargeError:
        pass
    settle(T0 + 20 * MINUTE)


def noticed(world: World) -> set[str]:
    """Return who says that something is wrong."""
    defects: set[str] = set()
    try:
        live(world)
    except InvariantError as error:
        defects |= {line.split(":")[0] for line in error.detail.splitlines()[1:]}
    except psycopg2.errors.CheckViolation as error:
        defects.add(f"CHECK {error.diag.constraint_name}")
    defects |= {row.invariant for row in world.sql("SELECT * FROM violations(false)")}
    return defects | {f"seal {row.kind}" for row in world.sql("SELECT * FROM verify_ledger()")}


def test_without_a_mistake_nothing_is_noticed(world: World, fee: None) -> None:
    assert noticed(world) == set()
    assert world.one("SELECT count(*) FROM refund") == 2
    assert world.one("SELECT count(*) FROM journal WHERE kind = 'refund'") == 3
    assert world.one("SELECT sum(amount_ucr) FROM refund") == 150_000, "the bound of the day"
    assert (
        world.one("SELECT sum(amount_ucr) FROM repayment")
        == world.one("SELECT sum(return_ucr) FROM refund")
        > 0
    )
    assert world.one("SELECT count(*) FROM payout WHERE fee_ucr > 0 AND stipend_ucr > 0") > 0


@pytest.mark.parametrize(
    ("function", "right", "wrong", "by"), [row[1:] for row in DEFECTS], ids=[row[0] for row in DEFECTS]
)
def test_a_mistake_is_noticed(
    world: World, fee: None, function: str, right: str, wrong: str, by: str
) -> None:
    put_in(world, function, right, wrong)
    if by == "account":
        world.sql("ALTER TABLE account DROP CONSTRAINT never_overdrawn")
    if function == "take_hold":
        put_in(
            world,
            function,
            "'take', amount, amount, at);",
            "'take', amount, amount, at) ON CONFLICT DO NOTHING;",
        )
    assert by in noticed(world)


@pytest.mark.parametrize("mistake", [False, True], ids=["as it is", "with the locks in another order"])
def test_holds_are_locked_before_accounts(world: World, mistake: bool) -> None:
    """Who waits for a hold does not have its account: whoever has the hold may want that next."""
    user = world.member()
    job = world.job(user)
    if mistake:
        put_in(
            world,
            "release_hold",
            "SELECT * INTO h FROM hold",
            "PERFORM FROM account JOIN hold USING (user_id) WHERE job_id = for_job FOR UPDATE OF account;"
            " SELECT * INTO h FROM hold",
        )
    waiting, having = (
        database.connect(),
        psycopg2.connect(world.server.url("postgres"), options="-c search_path=market -c lock_timeout=500ms"),
    )
    with waiting.cursor() as waiter, having.cursor() as holder:
        holder.execute("SELECT FROM hold WHERE job_id = %s FOR NO KEY UPDATE", [job])
        thread = threading.Thread(target=waiter.execute, args=["SELECT release_hold(%s, 'r')", [job]])
        thread.start()
        until = time.monotonic() + 20
        while not world.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            assert time.monotonic() < until
            time.sleep(0.01)
        try:
            holder.execute("UPDATE account SET held_ucr = held_ucr WHERE user_id = %s", [user])
            in_order = True
        except psycopg2.errors.LockNotAvailable:
            in_order = False
        having.rollback()
        thread.join(20)
    having.close()
    waiting.close()
    assert in_order is not mistake
