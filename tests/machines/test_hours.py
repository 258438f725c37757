"""Hours of the day for which a machine is lent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from market.machines import hours


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("time", "inside"),
    [("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("05:59", True), ("06:00", False)],
)
def test_hours_may_go_over_midnight(time: str, inside: bool) -> None:
    assert hours.within("22:00-06:00", "UTC", at(f"2026-11-24T{time}")) is inside


def test_hours_are_those_of_the_lender_s_clock_in_summer_and_winter() -> None:
    winter, summer = at("2026-01-10T21:30"), at("2026-07-10T21:30")
    assert not hours.within("23:00-06:00", "Europe/Berlin", winter)  # 22:30 there
    assert hours.within("23:00-06:00", "Europe/Berlin", summer)  # 23:30 there


def test_without_hours_every_time_is_inside() -> None:
    assert hours.within("", "UTC", 0)


@pytest.mark.parametrize(
    "text", ["22-06", "25:00-06:00", "22:00-22:00", "22:00-22:10", "22:00 - 06:00", "\n"]
)
def test_hours_that_are_none_are_refused_with_what_is_meant(text: str) -> None:
    with pytest.raises(ValueError, match=r"22:00-06:00|30 minutes"):
        hours.parse(text)


@pytest.mark.parametrize("name", ["Europe/Nowhere", "../../etc/passwd", "", "/etc/localtime", "Europe"])
def test_a_time_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        hours.zone(name)
