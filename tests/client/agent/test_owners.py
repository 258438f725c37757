"""Accounts for containers come out of a range."""

from __future__ import annotations

import pytest

from distributedmarket.agent.owners import Range


def test_an_account_is_taken_once_until_none_is_left() -> None:
    few, used = Range(70_001, 70_003), set[int]()
    for _ in range(3):
        number = few.free(used)
        assert number in {70_001, 70_002, 70_003} - used
        used.add(number)
    with pytest.raises(ValueError, match="no account is left"):
        few.free(used)


def test_a_range_reads_what_it_says() -> None:
    assert Range.read(str(Range(70_001, 70_003))) == Range(70_001, 70_003)
