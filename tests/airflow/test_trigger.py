from __future__ import annotations

import pytest

from market.airflow import trigger


@pytest.mark.parametrize(
    ("took_s", "from_one_to_the_next_s"), [(0.01, 0.4), (0.1, 0.5), (0.3, 1.5), (1.0, 2.0), (1.9, 2.0)]
)
def test_looks_follow_each_other_as_fast_as_they_are_cheap(
    took_s: float, from_one_to_the_next_s: float
) -> None:
    assert took_s + trigger._pause_s(took_s) == pytest.approx(from_one_to_the_next_s)


def test_other_work_gets_its_turn_after_a_look_that_takes_long() -> None:
    assert trigger._pause_s(10.0) > 0
