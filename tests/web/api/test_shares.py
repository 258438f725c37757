from __future__ import annotations

import anyio
import pytest

from market.kit.errors import BusyError, OverLimitError
from market.web.api.shares import Shares


def run(test) -> None:
    anyio.run(test)


def test_each_member_has_places_of_his_own() -> None:
    async def test() -> None:
        shares = Shares(each=2, everybody=10, waiting=0, patience_s=5)
        async with shares.one("anna"), shares.one("anna"):
            with pytest.raises(OverLimitError):
                async with shares.one("anna"):
                    pass
            async with shares.one("bert"):
                pass
        async with shares.one("anna"):
            pass
        assert shares._members == {}, "nothing is kept of who has gone"

    run(test)


def test_a_place_that_comes_free_is_given_to_who_waits() -> None:
    async def test() -> None:
        shares = Shares(each=1, everybody=10, waiting=1, patience_s=20)
        order = []

        async def second() -> None:
            async with shares.one("anna"):
                order.append("second")

        async with anyio.create_task_group() as tasks, shares.one("anna"):
            tasks.start_soon(second)
            await anyio.wait_all_tasks_blocked()
            order.append("first")
        assert order == ["first", "second"]

    run(test)


def test_who_waits_too_long_and_who_is_one_too_many_of_all() -> None:
    async def test() -> None:
        shares = Shares(each=1, everybody=1, waiting=5, patience_s=0.05)
        async with shares.one("anna"):
            with pytest.raises(OverLimitError) as caught:
                async with shares.one("anna"):
                    pass
            assert caught.value.headers == {"Retry-After": "5"}
            with pytest.raises(BusyError):
                async with shares.one("bert"):
                    pass
        async with shares.one("bert"):
            pass
        assert shares._taken == 0

    run(test)


def test_who_goes_away_while_he_waits_leaves_nothing() -> None:
    async def test() -> None:
        shares = Shares(each=1, everybody=5, waiting=5, patience_s=20)
        async with shares.one("anna"):
            with anyio.move_on_after(0.05):
                async with shares.one("anna"):
                    raise AssertionError("there is no place")
        async with shares.one("anna"):
            pass
        assert (shares._members, shares._taken) == ({}, 0)

    run(test)
