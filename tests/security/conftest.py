"""Attacks on a running market whose servers believe keys only."""

from __future__ import annotations

import pytest
from system.conftest import (  # noqa: F401
    buyer,
    lender,
    lenders,
    machines,
    nothing_left,
    owner,
    program,
    stranger,
)

from market.kit import settings


@pytest.fixture(scope="module", autouse=True)
def with_keys(stack: settings.Settings) -> None:
    if not stack.kerberos:
        pytest.skip("where names are believed none of this is refused")
