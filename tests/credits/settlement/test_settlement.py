from __future__ import annotations

from dataclasses import replace

import pytest
from ledger_world import MINUTE, T0, World

from market.credits import ledger
from market.credits.settlement import steps
from market.credits.settlement.steps import settle
from market.kit import database, settings

pytestmark = pytest.mark.database

HOUR = 60 * MINUTE
CORE_HOUR = 1_004_000  # one vcore and one GiB at rate 1


def test_a_job_pays_the_owners_of_its_machines(world: World) -> None:
    buyer, lender = world.member(), world.member()
    lent, pool = world.machine(lender), world.machine(None)
    job = world.job(buyer)
    world.container(job, pool, T0, T0 + HOUR, role="driver")
    world.container(job, lent, T0, T0 + HOUR, vcores=2, memory_mib=2048)
    world.end_job(job, T0 + HOUR)
    world.mark(T0 + 2 * HOUR)

    settle(T0 + HOUR)

    assert world.balances(buyer).using_ucr == 3 * CORE_HOUR
    assert world.balances(buyer).held_ucr == 0
    assert world.balances(lender).sharing_ucr == 2 * CORE_HOUR
    assert not world.hold(job).open
    assert world.one("SELECT balance_ucr FROM system_account WHERE account = 'treasury'") == (
        -2 * 15_000_000 + CORE_HOUR
    )
    assert world.violations() == []


def test_more_jobs_than_one_transaction_captures_are_all_charged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_CHUNK", 2)
    buyer, machine = world.member(), world.machine(world.member())
    jobs = [world.job(buyer, hold_ucr=100_000) for _ in range(7)]
    for job in jobs:
        world.container(job, machine, T0, T0 + 3 * MINUTE)
        world.end_job(job, T0 + 3 * MINUTE)
    world.mark(T0 + HOUR)

    settle(T0 + 5 * MINUTE)

    assert {world.hold(job).captured_ucr for job in jobs} == {CORE_HOUR // 20}
    assert not any(world.hold(job).open for job in jobs)
    assert world.violations() == []


def test_the_charge_does_not_depend_on_how_time_was_cut(world: World) -> None:
    buyer, lender = world.member(), world.member()
    machine = world.machine(lender)
    job = world.job(buyer)
    world.container(job, machine, T0 + 1, T0 + 777_777, vcores=3, memory_mib=1000)
    world.end_job(job, T0 + 777_777)
    world.mark(T0 + 2 * HOUR)

    for cut in (T0 + 100_003, T0 + 333_331, T0 + 333_332, T0 + 777_777):
        settle(cut)

    expected = 1_000_000 * (3_000_000 * 1024 + 4_000 * 1000) * 777_776 // (1024 * 3_600_000 * 1_000_000)
    assert world.hold(job).captured_ucr == expected
    assert world.violations() == []


def test_a_charge_never_exceeds_the_hold(world: World) -> None:
    buyer, machine = world.member(), world.machine(world.member())
    job = world.job(buyer, hold_ucr=CORE_HOUR)
    first = world.container(job, machine, T0, T0 + HOUR)
    second = world.container(job, machine, T0 + 1, T0 + HOUR)
    world.end_job(job, T0 + HOUR)
    world.mark(T0 + 2 * HOUR)

    settle(T0 + HOUR)

    assert world.hold(job).captured_ucr == CORE_HOUR
    assert (
        world.one("SELECT total_ucr FROM charge WHERE container_id = %s ORDER BY interval_id DESC", first) > 0
    )
    assert world.one("SELECT count(*) FROM charge WHERE container_id = %s", second) == 12
    assert world.violations() == []


@pytest.mark.parametrize("kind", ["node_lost", "preempted", "drained"])
def test_the_open_interval_of_what_the_pool_took_is_not_charged(world: World, kind: str) -> None:
    buyer, lender = world.member(), world.member()
    machine = world.machine(lender)
    job = world.job(buyer)
    lost = world.container(job, machine, T0)
    world.mark(T0 + 10 * MINUTE)
    settle(T0 + 5 * MINUTE)
    paid = world.hold(job).captured_ucr
    assert paid == CORE_HOUR // 12

    world.end_container(lost, T0 + 8 * MINUTE, kind)
    world.end_job(job, T0 + 9 * MINUTE)
    world.mark(T0 + HOUR)
    settle(T0 + 10 * MINUTE)

    assert world.hold(job).captured_ucr == paid
    assert not world.hold(job).open
    assert world.balances(lender).sharing_ucr == paid
    assert world.violations() == []


def test_a_node_was_silent_before_it_was_found_lost(world: World) -> None:
    job = world.job(world.member())
    lost = world.container(job, world.machine(world.member()), T0)
    world.end_container(lost, T0 + 5 * MINUTE + 30_000, "node_lost")
    world.mark(T0 + HOUR)

    settle(T0 + 5 * MINUTE)

    assert world.hold(job).captured_ucr == 0


def test_a_job_that_ended_because_of_the_pool_costs_nothing(world: World) -> None:
    buyer, lender = world.member(), world.member()
    job = world.job(buyer)
    world.container(job, world.machine(lender), T0, T0 + 10 * MINUTE, role="driver")
    world.end_job(job, T0 + 10 * MINUTE, reason_code="pool_failure")
    world.mark(T0 + HOUR)

    settle(T0 + 15 * MINUTE)

    assert world.balances(buyer).using_ucr == 0
    assert world.balances(buyer).available_ucr == 15_000_000
    assert world.balances(lender).sharing_ucr == CORE_HOUR // 6
    assert world.violations() == []


def test_ones_own_machine_gives_back_what_it_took_less_the_fee(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tariff(monkeypatch, fee="0.100000")
    owner = world.member()
    job = world.job(owner)
    world.container(job, world.machine(owner), T0, T0 + HOUR)
    world.end_job(job, T0 + HOUR)
    world.mark(T0 + 2 * HOUR)

    settle(T0 + HOUR)

    fees = world.one("SELECT balance_ucr FROM system_account WHERE account = 'fee'")
    assert world.balances(owner).balance_ucr == 15_000_000 - fees
    assert CORE_HOUR // 10 - 12 <= fees <= CORE_HOUR // 10
    assert world.violations() == []


def test_a_job_that_never_had_an_application_gets_all_back(world: World) -> None:
    buyer = world.member()
    job = world.job(buyer)
    world.sql("DELETE FROM application_usage")
    world.sql("UPDATE job SET application_id = NULL")
    world.end_job(job, T0 + MINUTE)

    settle(T0 + 5 * MINUTE)

    assert world.balances(buyer).available_ucr == 15_000_000
    assert not world.hold(job).open


def test_a_hold_that_is_released_between_freeze_and_capture_stays_released(world: World) -> None:
    buyer = world.member()
    job = world.job(buyer)
    world.end_job(job, T0 + MINUTE)
    world.mark(T0 + HOUR)
    interval_id = steps.freeze(T0 + 5 * MINUTE)
    assert world.one("SELECT count(*) FROM final_job") == 1

    world.sql("SELECT release_hold(%s, 'cancelled', %s)", job, T0 + 2 * MINUTE)
    steps.run_steps(interval_id)

    assert world.sql("SELECT closed_ms, released_ucr FROM hold") == [(T0 + 2 * MINUTE, 5_000_000)]
    assert world.one("SELECT count(*) FROM hold_entry WHERE kind = 'release'") == 1
    assert world.balances(buyer).available_ucr == 15_000_000
    assert world.violations() == []


@pytest.mark.parametrize("expires", [None, 8 * MINUTE], ids=["ten minutes after its end", "at its expiry"])
def test_a_hold_whose_usage_stays_unknown_is_given_back(world: World, expires: int | None) -> None:
    """It has an application, the ResourceManager forgot that, and the meter never saw it."""
    buyer = world.member()
    job = world.job(buyer)
    world.sql("DELETE FROM application_usage")
    if expires is not None:
        world.sql("UPDATE hold SET expires_ms = %s", T0 + expires)
    world.end_job(job, T0 + MINUTE, reason_code="pool_failure")
    world.mark(T0 + HOUR)

    settle(T0 + 5 * MINUTE)
    assert world.hold(job).open
    settle(T0 + (10 if expires else 15) * MINUTE)

    assert not world.hold(job).open
    assert world.balances(buyer).available_ucr == 15_000_000
    assert world.violations() == []


def test_a_driver_that_is_observed_after_its_job_s_end_is_paid_for(world: World) -> None:
    """The job was cancelled while YARN took it: no application was known, and a driver was on its way."""
    buyer, lender = world.member(), world.member()
    machine = world.machine(lender)
    job = world.job(buyer)
    world.sql("DELETE FROM application_usage")
    world.sql("UPDATE job SET application_id = NULL")
    world.hand_over(job)
    world.end_job(job, T0 + 2 * MINUTE, final=False)
    with database.transaction() as cursor:
        assert not ledger.release_hold(cursor, job, f"release:{job}")
    world.mark(T0 + 2 * MINUTE + 9_999)
    with pytest.raises(steps.MeterBehindError):
        settle(T0 + 5 * MINUTE, patience_s=0.1)
    assert world.balances(buyer).held_ucr == 5_000_000

    # The poll that closes the gap finds the application, and what its driver held.
    world.sql(
        "INSERT INTO application_usage (application_id, job_id, last_seen_ms, final, final_ms)"
        " VALUES (%s, %s, %s, true, %s)",
        *(f"application_{job}", job, T0 + 3 * MINUTE, T0 + 3 * MINUTE),
    )
    world.container(job, machine, T0 + MINUTE, T0 + 3 * MINUTE, kind="killed", role="driver")
    world.mark(T0 + 3 * MINUTE)
    settle(T0 + 5 * MINUTE, patience_s=0.1)

    assert world.balances(buyer).using_ucr == world.balances(lender).sharing_ucr == CORE_HOUR * 2 // 60
    assert world.balances(buyer).held_ucr == 0
    assert world.violations() == []


def test_a_job_of_which_yarn_got_nothing_gets_all_back_when_the_meter_has_looked(world: World) -> None:
    buyer = world.member()
    job = world.job(buyer)
    world.sql("DELETE FROM application_usage")
    world.sql("UPDATE job SET application_id = NULL")
    world.hand_over(job)
    world.end_job(job, T0 + 2 * MINUTE, final=False)
    world.mark(T0 + 2 * MINUTE + 10_000)

    settle(T0 + 5 * MINUTE, patience_s=0.1)

    assert world.balances(buyer).available_ucr == 15_000_000
    assert not world.hold(job).open


def test_a_hold_of_an_open_job_stays_whatever_the_time(world: World) -> None:
    job = world.job(world.member())
    world.sql("UPDATE hold SET expires_ms = taken_ms + 1")
    world.mark(T0 + HOUR)
    settle(T0 + 30 * MINUTE)
    assert world.hold(job).open


def test_the_rest_comes_back_only_when_the_usage_is_final(world: World) -> None:
    job = world.job(world.member())
    world.container(job, world.machine(world.member()), T0, T0 + MINUTE)
    world.end_job(job, T0 + MINUTE, final=False)
    world.mark(T0 + HOUR)

    settle(T0 + 5 * MINUTE)
    assert world.hold(job).open

    world.sql("UPDATE application_usage SET final = true, final_ms = %s", T0 + 5 * MINUTE)
    settle(T0 + 10 * MINUTE)
    assert not world.hold(job).open


def test_an_interval_waits_for_what_may_still_report(world: World) -> None:
    job = world.job(world.member())
    world.container(job, world.machine(world.member()), T0)
    world.mark(T0 + 5 * MINUTE + 59_000)

    with pytest.raises(steps.MeterBehindError, match="last report"):
        settle(T0 + 5 * MINUTE, patience_s=0.1)
    assert world.one("SELECT count(*) FROM settlement") == 0

    world.mark(T0 + 6 * MINUTE)
    assert len(settle(T0 + 5 * MINUTE, patience_s=0.1)) == 1


def test_any_number_of_empty_intervals_is_closed_in_one_run(world: World) -> None:
    world.member()

    settled = settle(T0 + 12 * HOUR + 1)

    assert len(settled) == 12 * 12 + 1
    assert [line.until_ms for line in settled[:-1]] == [T0 + n * 5 * MINUTE for n in range(1, 145)]
    assert settle(T0 + 12 * HOUR + 1) == []
    assert world.violations() == []


def test_the_dag_s_run_after_a_pause_closes_all_that_it_missed(world: World) -> None:
    world.member()
    interval_id = steps.prepare(T0 + 12 * HOUR)
    assert interval_id == 12 * 12
    assert world.one("SELECT count(*) FROM seal") == interval_id - 1
    steps.run_steps(interval_id)
    assert world.violations() == []


def test_stipends_are_bounded_and_shared_by_largest_remainder(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tariff(monkeypatch, stipend_cap_per_interval="0.000100")
    lenders = [world.member() for _ in range(3)]
    for lender in lenders:
        world.online(world.machine(lender), T0, T0 + 5 * MINUTE)
    world.mark(T0 + HOUR)

    settle(T0 + 5 * MINUTE)

    assert [world.balances(lender).sharing_ucr for lender in lenders] == [34, 33, 33]
    assert world.violations() == []


def test_busy_cores_earn_no_stipend(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _tariff(monkeypatch, stipend_per_core_hour="0.120000")
    lender = world.member()
    machine = world.machine(lender, cores=4)
    world.online(machine, T0, T0 + 5 * MINUTE)
    job = world.job(world.member())
    world.container(job, machine, T0, T0 + 5 * MINUTE, vcores=3)
    world.mark(T0 + HOUR)

    settle(T0 + 5 * MINUTE)

    assert world.one("SELECT stipend_ucr FROM payout") == 10_000


def test_steps_out_of_order_are_refused(world: World) -> None:
    world.member()
    interval_id = steps.freeze(T0 + 5 * MINUTE)
    with pytest.raises(steps.OutOfOrderError, match="not ready for the step capture"):
        steps.capture(interval_id)
    with pytest.raises(steps.OutOfOrderError, match="not sealed"):
        steps.freeze(T0 + 10 * MINUTE)
    settle(T0 + 10 * MINUTE)
    with pytest.raises(steps.OutOfOrderError, match="closed already"):
        steps.freeze(T0 + 7 * MINUTE)


def _tariff(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    loaded = settings.load()
    other = replace(loaded, credits=replace(loaded.credits, **changed))
    monkeypatch.setattr(settings, "load", lambda *arguments: other)
