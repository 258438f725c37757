"""A pass over many things: each by itself, with a count that outlives the process."""

from __future__ import annotations

from collections.abc import Callable

import psycopg2
import pytest
from ledger_world import World

from market.kit import alerts, clock, database, isolation
from market.kit.errors import ConflictError, UnavailableError
from market.kit.paging import Page

pytestmark = pytest.mark.database

WORK = "reading"


class Pass:
    """Things of which some fail; `done` are those that a pass got through."""

    def __init__(self, world: World, bad: dict[str, Exception]) -> None:
        self.world = world
        self.bad = bad
        self.done: list[str] = []
        self.tried: list[str] = []
        self.concluded: dict[str, str] = {}

    def do(self, thing: str) -> None:
        self.tried.append(thing)
        if thing in self.bad:
            raise self.bad[thing]
        self.done.append(thing)

    def turn(self, things: str = "abc", conclude: bool = False) -> list[str]:
        self.done.clear()
        self.tried.clear()
        end: Callable[[str, str], None] | None = self.concluded.__setitem__ if conclude else None
        isolation.each(WORK, things, self.do, str, end)
        return self.done

    def later(self) -> None:
        """Let the time come at which what failed is tried again."""
        self.world.sql("UPDATE setback SET next_ms = 0")

    def failures(self) -> dict[str, int]:
        return {row.subject: row.failures for row in self.world.sql("SELECT * FROM setback")}


@pytest.mark.parametrize(
    "error",
    [
        ConflictError("no"),
        ValueError("A string literal cannot contain NUL (0x00) characters."),
        RecursionError(),
        OverflowError(),
        AssertionError(),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"),
        psycopg2.DataError("half a surrogate"),
        psycopg2.IntegrityError("a CHECK"),
    ],
)
def test_one_that_fails_stops_no_other_and_waits(world: World, error: Exception) -> None:
    made = Pass(world, {"a": error})
    assert made.turn() == ["b", "c"]
    assert made.failures() == {"a": 1}
    assert made.turn() == ["b", "c"]
    assert "a" not in made.tried, "it has to wait"
    made.later()
    made.turn()
    assert made.failures() == {"a": 2}
    wait_ms = world.one("SELECT next_ms FROM setback") - clock.now_ms()
    assert 15_000 < wait_ms <= 20_000, "each time longer"
    made.later()
    made.bad.clear()
    assert made.turn() == ["a", "b", "c"]
    assert made.failures() == {}, "what works again is as good as new"


def test_after_some_failures_it_is_given_up_with_one_alert_for_the_work(world: World) -> None:
    made = Pass(world, {"a\0": ValueError("half \ud800"), "b": ConflictError("no")})
    for _ in range(isolation.MOST_FAILURES):
        made.later()
        made.turn(["a\0", "b", "c"])  # type: ignore[arg-type]
    (alert,) = alerts.list_alerts(Page()).rows
    assert (alert.kind, alert.subject) == ("given_up", WORK)
    assert "b failed 5 times or more, at last with: no." in alert.detail
    assert world.one("SELECT min(next_ms) FROM setback") > clock.now_ms() + 23 * 3_600_000
    assert set(made.failures()) == {"a\ufffd", "b"}


def test_what_is_given_up_is_concluded_and_forgotten(world: World) -> None:
    made = Pass(world, {"a": ConflictError("it is bad")})
    for _ in range(isolation.MOST_FAILURES):
        made.later()
        assert made.turn(conclude=True) == ["b", "c"]
    assert made.concluded == {"a": "it is bad"}
    assert made.failures() == {}


def test_a_service_that_is_away_is_no_fault_of_the_things(world: World) -> None:
    made = Pass(world, {thing: UnavailableError("away") for thing in "abcdef"})
    with pytest.raises(UnavailableError):
        made.turn("abcdef")
    assert made.tried == ["a", "b", "c"], "it is not asked for each of a thousand"
    assert made.failures() == dict.fromkeys("abc", 0)
    with pytest.raises(UnavailableError):
        made.turn("abcdef")
    assert made.tried == ["d", "e", "f"], "none of them holds up the rest"


def test_a_thing_that_the_service_fails_for_alone_counts(world: World) -> None:
    made = Pass(world, {"b": UnavailableError("HDFS answered 500")})
    assert made.turn() == ["a", "c"]
    assert made.failures() == {"b": 1}


def test_named_errors_and_the_database_s_own_end_the_pass(world: World) -> None:
    made = Pass(world, {"b": UnavailableError("away")})
    with pytest.raises(UnavailableError):
        isolation.each(WORK, "abc", made.do, str, ends=(UnavailableError,))
    made.bad = {"b": psycopg2.OperationalError("gone")}
    with pytest.raises(psycopg2.OperationalError):
        isolation.each(WORK, "abc", made.do, str)
    assert made.failures() == {}


def test_in_one_transaction_only_what_failed_is_undone(world: World) -> None:
    def write(thing: str) -> None:
        alerts.raise_alert(cursor, "test", thing, "begun")
        if thing == "b":
            cursor.execute("SELECT 1 / 0")
        alerts.raise_alert(cursor, "test", thing, "done")

    concluded: list[str] = []
    for _ in range(isolation.MOST_FAILURES):
        with database.transaction() as cursor:
            isolation.each_within(
                cursor, WORK, list("abc"), write, str, lambda thing, _: concluded.append(thing)
            )
        written = dict(world.sql("SELECT subject, detail FROM alert WHERE kind = 'test'"))
        assert written == {"a": "done", "c": "done"}
        world.sql("UPDATE setback SET next_ms = 0")
    assert concluded == ["b"]
    assert world.sql("SELECT * FROM setback") == []


def test_a_part_that_can_be_done_without(world: World) -> None:
    def fail() -> str:
        raise ValueError("bad")

    assert isolation.guarded(WORK, "a", lambda: "good", "nothing") == "good"
    assert isolation.guarded(WORK, "a", fail, "nothing") == "nothing"
    assert isolation.guarded(WORK, "a", lambda: "good", "nothing") == "nothing", "it has to wait"


def test_what_is_gone_is_forgotten_at_last(world: World) -> None:
    made = Pass(world, {"a": ConflictError("no")})
    made.turn()
    isolation.forget_old()
    assert made.failures() == {"a": 1}
    made.later()
    isolation.forget_old()
    assert made.failures() == {}
