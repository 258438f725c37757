from __future__ import annotations

from typing import Any

import pytest
from ledger_world import MINUTE, T0, World

from market.credits import receipt as receipts
from market.credits import refunds
from market.credits.settlement import steps
from market.credits.settlement.steps import settle
from market.credits.statement import statement
from market.kit import database
from market.kit.errors import BadInputError, NotFoundError
from market.kit.money import format_credits, parse_credits

pytestmark = pytest.mark.database


def receipt(job_id: str) -> dict[str, Any]:
    with database.transaction() as cursor:
        return receipts.receipt(cursor, job_id)


def _adds_up(document: dict[str, Any]) -> bool:
    return sum(parse_credits(line["amount"]) for line in document["containers"]) == parse_credits(
        document["charge"]
    )


def _paid(world: World, user_id: str) -> int:
    return world.balances(user_id).using_ucr


def test_every_amount_can_be_recomputed_and_they_add_up_to_the_postings(world: World) -> None:
    buyer = world.member()
    job = world.job(buyer, rate=1_234_567)
    lent = world.machine(world.member())
    world.container(job, world.machine(None), T0, T0 + 61_234, role="driver", memory_mib=768)
    world.container(job, lent, T0 + 5_001, T0 + 58_777, vcores=2, memory_mib=1500)
    world.end_job(job, T0 + 61_500)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)

    document = receipt(job)

    assert document["final"] is True
    assert document["rate"] == "1.234567"
    assert [line["role"] for line in document["containers"]] == ["driver", "executor"]
    assert document["containers"][1]["machine_id"] == lent
    for line in document["containers"]:
        hourly = float(line["weight"]) * line["vcores"] + 0.004 * line["memory_mib"] / 1024
        exact = float(document["rate"]) * hourly * line["seconds"] / 3600 * 1e6
        assert parse_credits(line["amount"]) + float(line["rounding"]) == pytest.approx(exact, abs=1e-3)
        assert 0 <= float(line["rounding"]) < 1
        assert line["not_charged_because"] is None
    assert _adds_up(document)
    assert parse_credits(document["charge"]) == _paid(world, buyer)


def test_a_job_that_runs_shows_what_is_captured_so_far(world: World) -> None:
    job = world.job(world.member())
    world.container(job, world.machine(world.member()), T0)
    assert receipt(job)["containers"][0]["amount"] == "0.000000"
    world.mark(T0 + 60 * MINUTE)

    settle(T0 + 5 * MINUTE)

    document = receipt(job)
    assert document["final"] is False
    assert document["containers"][0]["seconds"] == 300
    assert document["charge"] != "0.000000"
    assert _adds_up(document)


def test_while_an_interval_is_settled_the_receipt_is_that_of_the_one_before(world: World) -> None:
    job = world.job(world.member())
    world.container(job, world.machine(world.member()), T0)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)
    before = receipt(job)
    interval_id = steps.freeze(T0 + 10 * MINUTE)
    assert receipt(job) == before
    steps.run_steps(interval_id)
    (line,) = receipt(job)["containers"]
    assert (line["seconds"], line["not_charged_because"]) == (600, None)
    assert _adds_up(receipt(job))


def test_a_line_says_why_it_was_not_charged(world: World) -> None:
    job = world.job(world.member())
    world.container(job, world.machine(world.member()), T0, T0 + MINUTE, kind="preempted")
    world.end_job(job, T0 + MINUTE)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)

    (line,) = receipt(job)["containers"]
    assert (line["amount"], line["seconds"], line["not_charged_because"]) == ("0.000000", 0, "preempted")


def test_a_hold_that_was_used_up_is_the_charge(world: World) -> None:
    job = world.job(world.member(), hold_ucr=10_000)
    machine = world.machine(world.member())
    world.container(job, machine, T0, T0 + 2 * MINUTE)
    world.container(job, machine, T0 + 1, T0 + 2 * MINUTE)
    world.end_job(job, T0 + 2 * MINUTE)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)

    document = receipt(job)
    assert document["charge"] == "0.010000"
    assert {line["not_charged_because"] for line in document["containers"]} == {"credit_exhausted"}
    assert _adds_up(document)


def test_what_was_refunded_is_not_in_the_charge(world: World) -> None:
    buyer = world.member()
    job = world.job(buyer)
    world.container(job, world.machine(world.member()), T0, T0 + MINUTE, role="driver")
    world.end_job(job, T0 + MINUTE, reason_code="pool_failure")
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)

    document = receipt(job)
    assert document["final"] is True
    assert document["charge"] == "0.000000"
    assert document["containers"][0]["not_charged_because"] == "refunded"
    assert _paid(world, buyer) == 0


def test_a_lost_attempt_costs_what_did_not_come_back(world: World) -> None:
    buyer, loser, other = world.member(), world.member(0), world.member()
    lost, kept, own = world.machine(loser), world.machine(other), world.machine(buyer)
    job = world.job(buyer)
    world.container(job, lost, T0, T0 + 6 * MINUTE, "node_lost", role="driver")
    for machine in (kept, own):
        world.container(job, machine, T0 + 1, T0 + 5 * MINUTE, "killed")
    world.end_job(job, T0 + 6 * MINUTE, reason_code="pool_failure")
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 3 * MINUTE)
    world.job(loser, hold_ucr=40_000)  # he lacks that much of what he has to give back
    settle(T0 + 10 * MINUTE)

    document = receipt(job)
    assert _adds_up(document)
    driver, executor, own_executor = document["containers"]
    paid = 1_004_000 * 3 // 60
    assert parse_credits(driver["amount"]) == parse_credits(document["owed"]) == 40_000
    assert driver["not_charged_because"] == "node_lost"
    assert parse_credits(document["returned"]) == paid - 40_000
    assert (executor["amount"], executor["not_charged_because"]) == ("0.000000", "refunded")
    assert parse_credits(own_executor["amount"]) == parse_credits(document["refunded"]) > 0
    assert own_executor["not_charged_because"] is None
    assert parse_credits(document["charge"]) == _paid(world, buyer)
    assert world.violations() == []


def test_what_an_administrator_gave_back_stands_beside_the_charge(world: World) -> None:
    buyer, admin = world.member(), world.member()
    job = world.job(buyer)
    world.container(job, world.machine(world.member()), T0, T0 + MINUTE)
    world.end_job(job, T0 + MINUTE)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)
    charge = receipt(job)["charge"]
    kept: list[Any] = []
    given = refunds.give(admin, job, "0.01", "a slow disk", lambda _, answer: kept.append(answer))
    assert kept == [given]
    assert given == {
        "job_id": job,
        "user_id": buyer,
        "amount": "0.010000",
        "reason": "a slow disk",
        "refunded": "0.010000",
    }
    assert refunds.give(admin, job, "0.001", "more")["refunded"] == "0.011000"

    document = receipt(job)
    assert (document["charge"], _adds_up(document)) == (charge, True)
    assert [(refund["amount"], refund["reason"]) for refund in document["refunds"]] == [
        ("0.010000", "a slow disk"),
        ("0.001000", "more"),
    ]
    assert _paid(world, buyer) == parse_credits(charge) - 11_000
    assert [line["note"] for line in statement(buyer)][-2:] == ["a slow disk", "more"]
    with pytest.raises(BadInputError) as refused:
        refunds.give(admin, job, "1", "too much")
    left = format_credits(parse_credits(charge) - 11_000)
    assert refused.value.errors["amount"][0].startswith(f"may be {left} at most")


def test_an_unknown_job_has_none(world: World) -> None:
    with pytest.raises(NotFoundError):
        receipt("0" * 32)
