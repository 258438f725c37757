"""What a registration may say."""

from __future__ import annotations

from typing import Any

import pytest

from market.kit.errors import BadInputError
from market.kit.wire import loaded
from market.machines.schemas import MachineRequestSchema

GOOD = {"core_count": 4, "memory_size": 8192, "time_period": 3600, "machine_type": "cpu"}


def test_what_is_required_is_enough() -> None:
    assert loaded(MachineRequestSchema(), GOOD) == GOOD


@pytest.mark.parametrize("missing", GOOD)
def test_each_required_field_is_named_when_missing(missing: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != missing}
    with pytest.raises(BadInputError) as caught:
        loaded(MachineRequestSchema(), body)
    assert list(caught.value.errors) == [missing]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("core_count", 0),
        ("core_count", "4"),
        ("core_count", 2.5),
        ("core_count", True),
        ("core_count", 100_000),
        ("memory_size", 512),
        ("memory_size", 1 << 40),
        ("time_period", 1),
        ("time_period", 10**12),
        ("machine_type", "quantum"),
        ("machine_type", "pool"),
        ("ip_address", "example.org"),
        ("ip_address", "0.0.0.0"),
        ("ip_address", "0.0.0.1"),
        ("ip_address", "169.254.169.254"),
        ("ip_address", "224.0.0.1"),
        ("ip_address", "240.0.0.1"),
        ("ip_address", "255.255.255.255"),
        ("ip_address", "10.0.0.1\n"),
        ("ip_address", "010.0.0.1"),
        ("ip_address", "::1"),
        ("service_port", 0),
        ("service_port", 65536),
        ("name", "-starts with a sign"),
        ("colour", "red"),
    ],
)
def test_what_breaks_a_rule_is_refused_on_its_field(field: str, value: Any) -> None:
    with pytest.raises(BadInputError) as caught:
        loaded(MachineRequestSchema(), {**GOOD, field: value})
    assert list(caught.value.errors) == [field]


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(BadInputError) as caught:
        loaded(MachineRequestSchema(), {**GOOD, "core_count": -1, "memory_size": 1, "ip_address": "x"})
    assert set(caught.value.errors) == {"core_count", "memory_size", "ip_address"}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("memory_size", 512, "must be from 1024 to 4194304 MiB"),
        ("time_period", 1, r"must be from 60 to \d+ seconds"),
        ("core_count", 0, r"must be from 1 to \d+$"),
    ],
)
def test_bounds_are_told_with_their_unit(field: str, value: int, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        loaded(MachineRequestSchema(), {**GOOD, field: value})
