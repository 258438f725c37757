"""Who gives back what an attempt had paid that the pool lost, and that nobody gains by losing one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ledger_world import MINUTE, T0, World

from market.credits import ledger
from market.credits.settlement.steps import settle
from market.credits.statement import statement
from market.credits.summary import summary
from market.kit import database, settings
from market.kit.money import format_credits

pytestmark = pytest.mark.database

DAY = 86_400_000
FIVE_MINUTES = 1_004_000 // 12  # one vcore and one GiB at rate 1
GRANT = 15_000_000


def tariff(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    loaded = settings.load()
    other = replace(loaded, credits=replace(loaded.credits, **changed))
    monkeypatch.setattr(settings, "load", lambda *arguments: other)


def lose(world: World, job: str, at: int, *containers: str, kind: str = "node_lost") -> None:
    """Let a job end because its driver, the first of its containers, is lost; the others are killed."""
    for container in containers:
        world.end_container(container, at, kind if container == containers[0] else "killed")
    world.end_job(job, at, reason_code="pool_failure")


def treasury(world: World) -> int:
    return int(world.one("SELECT coalesce(sum(amount_ucr), 0) FROM refund"))


def test_who_lends_himself_a_machine_and_takes_it_away_gains_nothing(world: World) -> None:
    member = world.member()
    own = world.machine(member)
    job = world.job(member)
    driver = world.container(job, own, T0, role="driver")
    executor = world.container(job, own, T0, vcores=4)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)
    assert world.hold(job).captured_ucr > FIVE_MINUTES

    lose(world, job, T0 + 6 * MINUTE, driver, executor)
    settle(T0 + 10 * MINUTE)

    assert world.balances(member).available_ucr == GRANT
    assert treasury(world) == 0
    assert world.one("SELECT count(*) FROM journal WHERE kind IN ('refund', 'return')") == 0
    assert world.violations() == []


def test_the_owner_of_the_lost_machine_gives_back_what_it_earned_and_others_keep_theirs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tariff(monkeypatch, fee="0.100000")
    buyer, loser, other = (world.member() for _ in range(3))
    lost, kept, own = world.machine(loser), world.machine(other), world.machine(buyer)
    job = world.job(buyer)
    containers = [
        world.container(job, lost, T0, role="driver"),
        *(world.container(job, machine, T0) for machine in (lost, kept, own)),
    ]
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)
    assert world.hold(job).captured_ucr == 4 * FIVE_MINUTES
    before = {user: world.balances(user).sharing_ucr for user in (loser, other)}

    world.end_container(containers[0], T0 + 5 * MINUTE + 1, "node_lost")
    for container in containers[1:]:
        world.end_container(container, T0 + 5 * MINUTE + 1, "killed")
    again = world.container(job, kept, T0 + 6 * MINUTE, role="driver", attempt=2)
    settle(T0 + 10 * MINUTE)

    returned = before[loser]
    assert returned == 2 * FIVE_MINUTES - 2 * FIVE_MINUTES // 10
    returned = 2 * FIVE_MINUTES * 9 // 10
    assert world.balances(loser).sharing_ucr <= 1, "a part of the rounding stays"
    assert world.balances(other).sharing_ucr >= before[other]
    refund = treasury(world)
    assert refund == 4 * FIVE_MINUTES - returned - FIVE_MINUTES, "all but what he paid for his own machine"
    hold = world.hold(job)
    assert hold.amount_ucr == 5_000_000 + refund + returned, "the next attempt may cost what this one could"
    assert hold.refunded_ucr == refund + returned
    assert world.balances(buyer).using_ucr == hold.captured_ucr - refund - returned
    assert world.violations() == []

    world.end_container(again, T0 + 12 * MINUTE)
    world.end_job(job, T0 + 12 * MINUTE)
    settle(T0 + 15 * MINUTE)
    assert world.balances(buyer).held_ucr == 0
    assert world.balances(buyer).using_ucr == FIVE_MINUTES + 1_004_000 * 6 // 60
    assert world.violations() == []


def test_what_a_lender_lacks_is_taken_from_his_next_earnings(world: World) -> None:
    buyer, other, loser = world.member(), world.member(), world.member(0)
    machine = world.machine(loser)
    job = world.job(buyer)
    driver = world.container(job, machine, T0, role="driver")
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)
    spent = world.job(loser, hold_ucr=FIVE_MINUTES - 10_000)

    lose(world, job, T0 + 5 * MINUTE + 1, driver)
    settle(T0 + 10 * MINUTE)
    assert world.balances(buyer).using_ucr == FIVE_MINUTES - 10_000, "he gave all that he had available"
    assert world.balances(loser).available_ucr == 0
    assert treasury(world) == 0, "nobody pays for him"
    assert summary(loser)["owed"] == format_credits(FIVE_MINUTES - 10_000)

    # A hold that comes back is no earning; neither is a grant.
    world.sql("DELETE FROM application_usage WHERE job_id = %s", spent)
    world.stand(spent, "submitted")
    with database.transaction() as cursor:
        ledger.release_hold(cursor, spent, "released")
    world.grant(loser, 1_000)
    settle(T0 + 15 * MINUTE)
    assert world.balances(buyer).using_ucr == FIVE_MINUTES - 10_000

    second = world.job(other)
    world.container(second, machine, T0 + 16 * MINUTE, T0 + 16 * MINUTE + 20_000)
    third = world.container(second, machine, T0 + 17 * MINUTE)
    settle(T0 + 17 * MINUTE)
    earned = 1_004_000 * 20 // 3600
    assert world.balances(buyer).using_ucr == FIVE_MINUTES - 10_000 - earned
    assert world.balances(loser).sharing_ucr == FIVE_MINUTES - 10_000
    world.end_container(third, T0 + 25 * MINUTE)
    world.end_job(second, T0 + 25 * MINUTE)
    settle(T0 + 25 * MINUTE)
    assert world.balances(buyer).using_ucr == 0
    assert world.balances(loser).sharing_ucr == earned + 1_004_000 * 8 // 60
    assert [line["kind"] for line in statement(loser)].count("return") == 4
    assert world.one("SELECT sum(amount_ucr) FROM repayment") == FIVE_MINUTES
    assert summary(loser)["owed"] == "0.000000"
    settle(T0 + 30 * MINUTE)
    assert world.one("SELECT sum(amount_ucr) FROM repayment") == FIVE_MINUTES
    assert world.violations() == []


def test_the_treasury_gives_back_so_much_for_each_member_and_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tariff(monkeypatch, refund_bound="0.100000")
    buyers = [world.member(), world.member()]
    pool = world.machine(None)
    for number, day in ((0, 0), (1, 0), (2, 1)):
        for buyer in buyers:
            start = T0 + day * DAY + number * 10 * MINUTE
            job = world.job(buyer, at=start)
            lose(
                world,
                job,
                start + 5 * MINUTE,
                world.container(job, pool, start, role="driver"),
                kind="killed",
            )
            world.mark(start + 60 * MINUTE)
        settle(start + 10 * MINUTE)
    for buyer in buyers:
        [refunds] = world.sql(
            "SELECT array_agg(refund.amount_ucr ORDER BY interval_id) FROM refund JOIN hold USING (job_id)"
            " WHERE user_id = %s",
            buyer,
        )
        assert refunds == ([FIVE_MINUTES, 100_000 - FIVE_MINUTES, FIVE_MINUTES],)
    assert world.violations() == []


@pytest.mark.parametrize(
    ("kind", "state", "returns"),
    [
        ("node_lost", "FAILED", True),
        ("drained", "FAILED", True),
        ("killed", "FAILED", True),  # the NodeManager was started again before anybody looked
        ("preempted", "FAILED", False),
        ("killed", "RUNNING", False),  # the ResourceManager forgot the application
    ],
)
def test_which_losses_are_the_machine_s(world: World, kind: str, state: str, returns: bool) -> None:
    buyer, lender = world.member(), world.member()
    job = world.job(buyer)
    driver = world.container(job, world.machine(lender), T0, role="driver")
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)
    lose(world, job, T0 + 5 * MINUTE + 1, driver, kind=kind)
    world.sql("UPDATE application_usage SET state = %s", state)
    settle(T0 + 10 * MINUTE)

    assert world.balances(buyer).using_ucr == 0
    assert world.balances(lender).sharing_ucr == (0 if returns else FIVE_MINUTES)
    assert (treasury(world) == 0) is returns
    assert world.violations() == []


def test_an_application_that_the_market_lost_track_of_is_given_back(world: World) -> None:
    """YARN had it, and the task that would have stored that gave up."""
    buyer = world.member()
    job = world.job(buyer)
    driver = world.container(job, world.machine(None), T0, role="driver")
    world.sql("UPDATE run SET application_id = NULL; UPDATE job SET application_id = NULL")
    lose(world, job, T0 + 5 * MINUTE, driver, kind="killed")
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 10 * MINUTE)

    assert treasury(world) == FIVE_MINUTES
    assert world.balances(buyer).using_ucr == 0


def test_only_the_run_that_was_lost_is_given_back(world: World) -> None:
    """A point that failed by itself and then lost its machine has paid for the first run."""
    buyer, lender = world.member(), world.member()
    machine = world.machine(lender)
    job = world.job(buyer)
    world.container(job, machine, T0, T0 + 2 * MINUTE, role="driver")
    world.sql(
        "UPDATE run SET status = 'failed', ended_ms = %s, reason_code = 'user_error' WHERE job_id = %s",
        *(T0 + 2 * MINUTE, job),
    )
    world.sql(
        "INSERT INTO run (job_id, point, attempt, tag, status, since_ms, application_id)"
        " VALUES (%s, 0, 2, %s, 'running', %s, 'application_2')",
        *(job, f"{job}.2", T0),
    )
    again = world.container(job, machine, T0 + 3 * MINUTE, role="driver", attempt=11)
    world.sql("UPDATE container_usage SET application_id = 'application_2' WHERE container_id = %s", again)
    lose(world, job, T0 + 4 * MINUTE, again)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)

    assert world.balances(buyer).using_ucr == 1_004_000 * 2 // 60
    assert world.violations() == []
