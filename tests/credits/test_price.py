from __future__ import annotations

import math

import pytest
from ledger_world import MINUTE, T0, World

from market.credits import price
from market.credits.settlement.steps import settle
from market.kit import database
from market.kit.paging import Page

pytestmark = pytest.mark.database


def _busy(world: World, since: int, minutes: int, used: int, pending: int = 0, total: int = 10) -> None:
    for second in range(0, minutes * 60, 10):
        world.demand(since + second * 1000, total, used, pending)


def test_the_rate_is_the_initial_one_before_the_first_settlement(world: World) -> None:
    rate = price.current()
    assert rate["rate"] == "1.000000"
    assert rate["at"] is None
    assert rate["types"]["gpu"] == {
        "weight": "4.000000",
        "core_hour": "4.000000",
        "gib_hour": "0.004000",
    }
    assert price.history(Page()).total == 0


def test_more_demand_than_capacity_raises_the_rate_by_a_bounded_step(world: World) -> None:
    world.member()
    _busy(world, T0, 5, used=10, pending=400)

    settle(T0 + 5 * MINUTE)

    step = math.exp(1 / 8)  # the largest: an error of 1
    assert float(price.current()["rate"]) == pytest.approx(step, abs=2e-6)
    assert price.current()["at"] == T0 + 5 * MINUTE
    assert world.violations() == []


def test_idle_capacity_lowers_it_and_the_target_leaves_it(world: World) -> None:
    world.member()
    _busy(world, T0, 5, used=8)
    _busy(world, T0 + 5 * MINUTE, 5, used=0)

    settle(T0 + 10 * MINUTE)

    rates = [float(row["rate"]) for row in price.history(Page(descending=False)).rows]
    assert rates == [1.0, pytest.approx(math.exp(-1 / 8), abs=2e-6)]


def test_without_any_capacity_nothing_moves(world: World) -> None:
    world.member()
    _busy(world, T0, 5, used=0, pending=100, total=0)

    settle(T0 + 5 * MINUTE)

    assert price.current()["rate"] == "1.000000"


def test_the_rate_stays_within_its_bounds_and_turns_back_at_once(world: World) -> None:
    world.member()
    _busy(world, T0, 100, used=10, pending=10)
    _busy(world, T0 + 100 * MINUTE, 5, used=0)

    settle(T0 + 105 * MINUTE)

    newest, before = price.history(Page(limit=2)).rows
    assert before["rate"] == "4.000000"
    assert float(newest["rate"]) < 4
    assert float(newest["rate"]) >= 4 * math.exp(-2 / 8)
    assert world.violations() == []


def test_many_short_intervals_move_it_no_further_than_a_long_one(world: World) -> None:
    world.member()
    _busy(world, T0, 5, used=0)

    for second in range(7, 300, 7):
        settle(T0 + second * 1000)
    settle(T0 + 5 * MINUTE)

    assert float(price.current()["rate"]) == pytest.approx(math.exp(-1 / 8), abs=1e-3)


def test_history_comes_in_pages_newest_first(world: World) -> None:
    world.member()
    settle(T0 + 30 * MINUTE)

    listing = price.history(Page(limit=2, offset=1))
    assert listing.total == 6
    assert [row["at"] for row in listing.rows] == [T0 + 25 * MINUTE, T0 + 20 * MINUTE]
    assert price.history(Page(offset=99)).total == 6
    with database.transaction() as cursor:
        assert price.current_rate_micro(cursor) == 1_000_000
