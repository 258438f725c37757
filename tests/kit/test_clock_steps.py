"""A clock that is set, forward or back, on a real database."""

from __future__ import annotations

import pytest
from ledger_world import World
from set_clock import Clock

from market.kit import clock_steps
from market.kit.clock_steps import Step, Steps

HOUR_MS = 3_600_000


def test_what_has_passed_leaves_the_steps_out() -> None:
    noon = 12 * HOUR_MS
    steps = Steps([Step(noon, HOUR_MS)])  # from eleven to twelve
    assert steps.passed_ms(noon - 2 * HOUR_MS, noon + HOUR_MS) == 2 * HOUR_MS
    assert steps.passed_ms(noon - HOUR_MS, noon) == 0, "begun just before, and the step found at once"
    assert steps.passed_ms(noon, noon + 5) == 5
    assert steps.passed_ms(noon - 1000, noon + 5) == 1005, "begun after it, before it was found"
    assert steps.passed_ms(noon - 3 * HOUR_MS, noon - 2 * HOUR_MS) == HOUR_MS
    both = Steps([Step(noon, HOUR_MS), Step(noon - HOUR_MS, -HOUR_MS)])  # and back again
    assert both.passed_ms(noon - 3 * HOUR_MS, noon) == 3 * HOUR_MS
    back = Steps([Step(noon, -HOUR_MS)])
    assert back.passed_ms(noon - HOUR_MS, noon) == 2 * HOUR_MS


@pytest.mark.database
def test_a_step_is_found_once_by_whoever_looks_first(world: World, set_clock: Clock) -> None:
    clock_steps.look()
    set_clock.forward(400)  # as NTP slews
    assert clock_steps.look().steps == []
    set_clock.forward(HOUR_MS)
    (step,) = clock_steps.look().steps
    assert abs(step.by_ms - HOUR_MS) < 5000
    set_clock.in_another_process()
    assert clock_steps.look().steps == [step]
    assert "stepped forward by 3600 s" in world.one("SELECT detail FROM alert WHERE kind = 'clock_stepped'")
    set_clock.forward(-HOUR_MS)
    assert sorted(found.by_ms > 0 for found in clock_steps.look().steps) == [False, True]
    set_clock.in_another_process(boot="another start of the host")
    set_clock.forward(HOUR_MS)
    assert len(clock_steps.look().steps) == 2, "what a host that was started again says is believed"
