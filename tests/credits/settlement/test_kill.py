"""A settlement that is killed anywhere, and run again, ends where one that was never killed ends."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
import servers
from ledger_world import MINUTE, T0, World
from psycopg2.extras import NamedTupleCursor

from market.credits.settlement import steps
from market.credits.settlement.steps import settle
from market.kit import database

pytestmark = pytest.mark.database

UNTIL = T0 + 15 * MINUTE  # three intervals
SEED = 20_261_124
JOBS = 64
# A sample of all points; MARKET_KILL_POINTS=10000 takes every one, each in a market of its own.
POINTS = int(os.environ.get("MARKET_KILL_POINTS", "128"))
INNER_POINTS = int(os.environ.get("MARKET_KILL_POINTS", "96"))
_DEATHS = 8  # in the life of one market, where points are sampled
_TEMPLATE = "killed_template"
_TABLES = (
    *("settlement", "settlement_step", "usage_line", "final_job", "uptime_line", "demand_line", "rate_tick"),
    *("charge", "payout", "refund", "repayment", "seal_page", "seal", "system_balance", "account_balance"),
    *("account", "hold", "hold_entry", "journal", "transfer", "unsealed"),
)


class Killed(BaseException):
    """The process is gone: nothing after this point runs, and what is open is rolled back."""


class Plan:
    """Counts the points at which a process may die; dies at one of them."""

    def __init__(self) -> None:
        self.count, self.dies_at = 0, -1

    def point(self) -> None:
        self.count += 1
        if self.count - 1 == self.dies_at:
            raise Killed


PLAN = Plan()


class MortalCursor(NamedTupleCursor):
    def execute(self, *arguments: Any) -> Any:
        PLAN.point()
        super().execute(*arguments)
        PLAN.point()


class MortalConnection(psycopg2.extensions.connection):
    def commit(self) -> None:
        PLAN.point()
        super().commit()
        PLAN.point()  # the server has committed, and nobody was told


@pytest.fixture(scope="module")
def furnished(ledger_server: servers.Database) -> servers.Database:
    """Keep a market as a template in which every rule of the settlement has something to do."""
    patch = pytest.MonkeyPatch()
    patch.setenv("MARKET_DATABASE_URL", ledger_server.url("market_app"))
    world = World(ledger_server)
    chance = random.Random(SEED)
    buyers = [world.member() for _ in range(4)]
    machines = [world.machine(world.member()) for _ in range(3)] + [world.machine(None)]
    for machine in machines[:3]:
        world.online(machine, T0, UNTIL)
    for second in range(0, 900, 30):
        world.demand(T0 + second * 1000, total=12, used=chance.randrange(12), pending=chance.randrange(8))
    kinds = ("finished", "killed", "node_lost", "preempted", "drained")
    for number in range(JOBS):
        job = world.job(chance.choice(buyers), hold_ucr=chance.choice((2_000, 100_000, 300_000)))
        end = T0 + chance.randrange(2, 17) * MINUTE + chance.randrange(1000)
        for container in range(3):
            start = T0 + chance.randrange(MINUTE)
            kind = kinds[(number + container) % 5] if container or number % 4 == 0 else "finished"
            role = "executor" if container else "driver"
            world.container(job, chance.choice(machines), start, end, kind, role, vcores=1 + container)
        world.end_job(job, end + 500, reason_code="pool_failure" if number % 6 == 0 else None)
    world.mark(T0 + 60 * MINUTE)
    world.keep_as(_TEMPLATE)
    world.close()
    patch.undo()
    return ledger_server


@pytest.fixture
def mortal(furnished: servers.Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[servers.Database]:
    monkeypatch.setenv("MARKET_DATABASE_URL", furnished.url("market_app"))

    def connect(url: str) -> Any:
        return psycopg2.connect(
            url,
            connection_factory=MortalConnection,
            cursor_factory=MortalCursor,
            options="-c search_path=market -c timezone=UTC",
        )

    monkeypatch.setattr(database, "_connect", connect)
    monkeypatch.setattr(steps, "_CHUNK", 20)  # several transactions for the captures of an interval
    monkeypatch.setattr(steps, "_HANDS", 1)  # in one order, so that a point is the same in each run
    _forget_connections()
    yield furnished
    _forget_connections()


def _forget_connections() -> None:
    database.dispose()
    PLAN.count, PLAN.dies_at = 0, -1


def _expected(world: World) -> str:
    settled = settle(UNTIL)
    assert len(settled) == 3
    assert world.violations() == []
    assert world.one("SELECT count(*) FROM refund") > 0
    assert world.one("SELECT count(*) FROM repayment") > 0
    assert world.one("SELECT count(*) FROM usage_line WHERE not_charged_because IS NOT NULL") > 3
    return world.state_hash()


def _lives(points: int, wanted: int) -> list[list[int]]:
    """Return the points at which the settlement of each market is killed, one after the other."""
    if wanted >= points:
        return [[point] for point in range(points)]
    chosen = random.Random(SEED).sample(range(points), wanted)
    return [sorted(chosen[first : first + _DEATHS]) for first in range(0, wanted, _DEATHS)]


def test_a_settlement_killed_at_any_statement_ends_the_same(mortal: servers.Database) -> None:
    world = World(mortal, template=_TEMPLATE)
    expected, points = _expected(world), PLAN.count
    world.close()
    assert points > 150, "before and after each statement and each COMMIT"
    lives = _lives(points, POINTS)
    for life in lives:
        _forget_connections()
        world = World(mortal, template=_TEMPLATE)
        for point in life:
            # What a kill took back is done again: later points come a little sooner than they were counted.
            PLAN.dies_at = point
            with pytest.raises(Killed):
                settle(UNTIL)
            assert world.broken_invariants() == [], f"after point {point} of {life}"
        PLAN.dies_at = -1
        settle(UNTIL)
        assert world.state_hash() == expected, f"killed at the points {life} of {points}, seed {SEED}"
        world.close()
    print(f"{sum(map(len, lives))} of {points} points, {len(lives)} markets, seed {SEED}")


def test_hands_that_capture_side_by_side_may_die_at_any_statement(
    mortal: servers.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One dies while others work; where each is then differs from run to run, what they leave does not."""
    world = World(mortal, template=_TEMPLATE)
    expected, points = _expected(world), PLAN.count
    world.close()
    monkeypatch.setattr(steps, "_CHUNK", 4)
    monkeypatch.setattr(steps, "_HANDS", 3)
    deaths, lives = 0, _lives(points, POINTS // 4)
    for life in lives:
        _forget_connections()
        world = World(mortal, template=_TEMPLATE)
        for point in life:
            PLAN.dies_at = point
            try:
                settle(UNTIL)
            except Killed:
                deaths += 1
            assert world.broken_invariants() == [], f"after about point {point}"
        PLAN.dies_at = -1
        settle(UNTIL)
        assert world.state_hash() == expected, f"killed at about the points {life}, seed {SEED}"
        world.close()
    print(f"{deaths} deaths of {sum(map(len, lives))}, seed {SEED}")
    assert deaths > sum(map(len, lives)) // 2


def test_settled_in_time_or_late_by_the_dag_or_again_the_ledger_is_the_same(
    furnished: servers.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKET_DATABASE_URL", furnished.url("market_app"))
    world = World(furnished, template=_TEMPLATE)
    expected = _expected(world)
    world.close()
    world = World(furnished, template=_TEMPLATE)
    for minutes in (5, 10, 15):
        # What the DAG's tasks do: freeze comes with prepare, which first closes what was missed.
        interval_id = steps.prepare(T0 + minutes * MINUTE)
        assert interval_id is not None
        steps.run_steps(interval_id)
        assert steps.prepare(T0 + minutes * MINUTE) is None, "a second run finds nothing to do"
    for interval_id in (1, 2, 3):  # each step again, as Airflow does when somebody clears its task
        steps.run_steps(interval_id)
    assert world.state_hash() == expected
    assert world.broken_invariants() == []
    world.close()


def test_a_step_killed_at_any_of_its_writes_ends_the_same(mortal: servers.Database) -> None:
    """Let the server lose the session in the middle of a step's function: the n-th change of any table."""
    world = World(mortal, template=_TEMPLATE)
    expected = _expected(world)
    world.close()
    _forget_connections()
    world = World(mortal, template=_TEMPLATE)
    _break_at(world)
    settle(UNTIL)
    writes = world.one("SELECT last_value FROM writes")
    world.close()
    lives = _lives(writes, INNER_POINTS)
    for life in lives:
        _forget_connections()
        world = World(mortal, template=_TEMPLATE)
        _break_at(world, *(point + 1 for point in life))
        for point in life:
            with pytest.raises(psycopg2.Error, match="lost at write"):
                settle(UNTIL)
            assert world.broken_invariants() == [], f"after write {point} of {life}"
        settle(UNTIL)
        assert world.state_hash() == expected, f"lost at the writes {life} of {writes}, seed {SEED}"
        world.close()
    print(f"{sum(map(len, lives))} of {writes} writes, {len(lives)} markets, seed {SEED}")


def _break_at(world: World, *points: int) -> None:
    """Refuse the changes with these numbers, counted from 1 over all sessions."""
    world.sql(
        "CREATE SEQUENCE writes; GRANT USAGE ON SEQUENCE writes TO PUBLIC;"
        " CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f"  IF nextval('market.writes') = ANY ('{{{','.join(map(str, points))}}}') THEN"
        "   RAISE EXCEPTION 'lost at write'; END IF;"
        "  RETURN NULL; END $$"
    )
    for table in _TABLES:
        world.sql(
            f"CREATE TRIGGER lose AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION lose()"
        )
