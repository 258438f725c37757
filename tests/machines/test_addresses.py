"""Which address a machine gets that its owner does not say one for."""

from __future__ import annotations

import pytest

from market.kit.errors import OverLimitError
from market.machines import addresses


def test_local_addresses_run_out_with_a_word() -> None:
    assert addresses.free_local_address({"127.0.0.4"}) == "127.0.0.5"
    everything = {f"127.0.{a}.{b}" for a in range(6) for b in range(256)}
    with pytest.raises(OverLimitError):
        addresses.free_local_address(everything)
