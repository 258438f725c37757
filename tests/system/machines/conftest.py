"""A host that joins with nothing installed, which takes a while: its test comes after others."""

from __future__ import annotations

from collections.abc import Iterator

import fresh_host as fresh_hosts
import pytest
from people import person

from market.kit import settings


@pytest.fixture(scope="session")
def fresh_host(stack: settings.Settings) -> Iterator[fresh_hosts.FreshHost]:
    """A host with Python and Java alone that is about to lend itself: it has all to install."""
    with fresh_hosts.lent(stack, person(stack, "newcomer")) as found:
        yield found


@pytest.fixture(scope="session", autouse=True)
def installing_meanwhile(request: pytest.FixtureRequest) -> None:
    """These tests wait most of the time: let the host that must install all begin, if its test is to run."""
    if any("fresh_host" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("fresh_host")
