from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from ledger_world import MINUTE, RATE, T0, World, given

from market.credits import ledger
from market.credits.settlement import steps
from market.credits.settlement.steps import settle
from market.kit import database
from market.kit.clock import new_id
from market.kit.errors import NotEnoughCreditError, NotFoundError

pytestmark = pytest.mark.database


def _hold(world: World, user_id: str, ucr: int) -> str:
    """Write a job and its hold in one transaction, as a submission does."""

    def work(cursor: database.Cursor) -> str:
        job_id = new_id()
        cursor.execute(
            "INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro,"
            " weight_micro, gib_weight_micro, status, added_ms)"
            " VALUES (%s, %s, 'x', '{}', 'cpu', 1, 1000000, 1000000, 4000, 'submitted', 0)",
            [job_id, user_id],
        )
        ledger.take_hold(cursor, job_id, user_id, ucr, RATE, T0 + MINUTE)
        return job_id

    return database.retried(work)


def test_parallel_submissions_never_overdraw_an_account(world: World) -> None:
    user = world.member(credits_ucr=15_000_000)

    def submit(number: int) -> str:
        try:
            _hold(world, user, 700_000)
            return "held"
        except NotEnoughCreditError as error:
            return f"{error.needed_ucr} needed" if error.available_ucr < 700_000 else "wrong"

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(submit, range(200)))

    assert (answers.count("held"), answers.count("700000 needed")) == (21, 179)
    assert world.balances(user).available_ucr == 300_000
    assert world.one("SELECT count(*) FROM job") == 21, "a refused submission leaves no job"
    assert world.violations() == []


def test_a_hold_that_is_taken_again_changes_nothing(world: World) -> None:
    user = world.member()
    job = world.job(user, hold_ucr=1_000)
    with database.transaction() as cursor:
        assert not ledger.take_hold(cursor, job, user, 1_000, RATE, T0)
        with pytest.raises(ledger.KeyReusedError):
            ledger.take_hold(cursor, job, user, 2_000, RATE, T0)
    assert world.balances(user).held_ucr == 1_000


def test_a_hold_can_be_raised_once_for_each_key_and_never_lowered(world: World) -> None:
    user = world.member()
    job = world.job(user, hold_ucr=1_000)
    with database.transaction() as cursor:
        assert ledger.extend_hold(cursor, job, 3_000, "a")
        assert not ledger.extend_hold(cursor, job, 3_000, "a")
    for amount, key, error in (
        (4_000, "a", ledger.KeyReusedError),
        (2_000, "b", ledger.HoldShrinksError),
        (99_000_000, "c", NotEnoughCreditError),
    ):
        with pytest.raises(error), database.transaction() as cursor:
            ledger.extend_hold(cursor, job, amount, key)
    with pytest.raises(NotFoundError), database.transaction() as cursor:
        ledger.extend_hold(cursor, new_id(), 1, "d")
    assert world.hold(job).amount_ucr == world.balances(user).held_ucr == 3_000
    assert world.violations() == []


def test_what_never_ran_gets_all_back_and_what_ran_waits_for_the_settlement(world: World) -> None:
    user = world.member()
    never, ran = world.job(user), world.job(user)
    world.container(ran, world.machine(None), T0, T0 + MINUTE)
    with database.transaction() as cursor:
        assert ledger.release_hold(cursor, never, "r1")
        assert ledger.release_hold(cursor, never, "r1")
        assert not ledger.release_hold(cursor, ran, "r2")
    assert world.balances(user).held_ucr == 5_000_000
    with pytest.raises(ledger.HoldClosedError), database.transaction() as cursor:
        ledger.extend_hold(cursor, never, 6_000_000, "e")
    assert world.violations() == []


def _settled(world: World, user: str, reason_code: str | None = None) -> str:
    """Return a job that ran for six minutes, 0.104 credits, and is settled."""
    job = world.job(user)
    world.container(job, world.machine(world.member()), T0, T0 + 6 * MINUTE, role="driver")
    world.end_job(job, T0 + 6 * MINUTE, reason_code=reason_code)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 10 * MINUTE)
    return job


def test_what_a_job_paid_is_given_back_once_for_each_key_and_never_more(world: World) -> None:
    user = world.member()
    job = _settled(world, user)
    paid = world.balances(user).using_ucr
    lender = world.one("SELECT machine.user_id FROM machine")
    earned = world.balances(lender).sharing_ucr
    key = given("refund", user, job, "a")
    with database.transaction() as cursor:
        assert ledger.refund(cursor, job, 60_000, "sorry", key)
        assert not ledger.refund(cursor, job, 60_000, "sorry", key)
    for amount, reason in ((60_001, "sorry"), (60_000, "so sorry")):
        with pytest.raises(ledger.KeyReusedError), database.transaction() as cursor:
            ledger.refund(cursor, job, amount, reason, key)
    with pytest.raises(ledger.RefundTooLargeError) as refused, database.transaction() as cursor:
        ledger.refund(cursor, job, paid, "all of it", given("refund", user, job, "b"))
    assert refused.value.left_ucr == paid - 60_000
    with pytest.raises(NotFoundError), database.transaction() as cursor:
        ledger.refund(cursor, new_id(), 1, "x", "c")
    assert world.balances(user).using_ucr == paid - 60_000
    assert world.balances(lender).sharing_ucr == earned == paid, "lenders keep what they earned"
    settle(T0 + 15 * MINUTE)
    assert world.violations() == []
    assert world.sql("SELECT * FROM verify_ledger()") == []


def test_what_somebody_paid_for_his_own_machine_is_not_given_back(world: World) -> None:
    user = world.member()
    job = world.job(user)
    for owner in (user, world.member()):
        world.container(job, world.machine(owner), T0, T0 + 6 * MINUTE)
    world.end_job(job, T0 + 6 * MINUTE)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 10 * MINUTE)
    with pytest.raises(ledger.RefundTooLargeError) as refused, database.transaction() as cursor:
        ledger.refund(cursor, job, 200_000, "sorry", given("refund", user, job, "a"))
    assert refused.value.left_ucr == 100_400 == world.balances(user).using_ucr // 2


def test_side_by_side_no_more_is_given_back_than_was_paid(world: World) -> None:
    user = world.member()
    job = _settled(world, user)
    paid = world.balances(user).using_ucr

    def refund(number: int) -> bool:
        try:
            with database.transaction() as cursor:
                key = given("refund", user, job, str(number))
                return ledger.refund(cursor, job, paid // 5, "sorry", key)
        except ledger.RefundTooLargeError:
            return False

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(refund, range(24))) == 5
    assert world.balances(user).using_ucr == paid - paid // 5 * 5
    assert world.violations() == []


def test_what_may_still_be_refunded_by_its_settlement_has_to_wait_for_it(world: World) -> None:
    user = world.member()
    job = world.job(user)
    world.container(job, world.machine(None), T0, T0 + 2 * MINUTE, role="driver")
    world.end_job(job, T0 + 2 * MINUTE, reason_code="pool_failure")
    world.mark(T0 + 60 * MINUTE)

    def refused(error: type[Exception]) -> None:
        with pytest.raises(error), database.transaction() as cursor:
            ledger.refund(cursor, job, 1, "sorry", "a")

    refused(ledger.NotSettledError)
    interval = steps.freeze(T0 + 5 * MINUTE)
    steps.price(interval)
    steps.capture(interval)
    assert not world.hold(job).open
    refused(ledger.NotSettledError)
    steps.run_steps(interval)
    refused(ledger.RefundTooLargeError)
    assert world.balances(user).using_ucr == 0
    assert world.violations() == []


def test_an_account_that_does_not_exist_gets_nothing(world: World) -> None:
    with pytest.raises(NotFoundError), database.transaction() as cursor:
        ledger.grant(cursor, "f" * 32, 1, "x", "k")
    assert world.one("SELECT count(*) FROM journal") == 0


def test_submissions_go_on_while_intervals_are_settled_by_two_at_once(world: World) -> None:
    """The DAG and a person at the command line settle the same time while people submit."""
    chance = random.Random(7)
    users = [world.member() for _ in range(5)]
    machines = [world.machine(user) for user in users]
    for number in range(40):
        job = world.job(users[number % 5], hold_ucr=50_000)
        world.container(job, chance.choice(machines), T0, T0 + chance.randrange(1, 30) * MINUTE)
        world.end_job(job, T0 + 30 * MINUTE)
    world.mark(T0 + 60 * MINUTE)

    with ThreadPoolExecutor(6) as threads:
        settling = [threads.submit(settle, T0 + 35 * MINUTE) for _ in range(2)]
        held = [threads.submit(_hold, world, user, 1_000) for user in users for _ in range(20)]
        for future in (*settling, *held):
            future.result(60)

    assert world.one("SELECT count(*) FROM seal") == 7
    assert world.one("SELECT count(*) FROM hold WHERE closed_ms IS NULL") == 100
    assert world.violations() == []
