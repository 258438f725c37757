"""Many operations over eight connections that are killed at random, against a model of the ledger."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg2
import pytest
from ledger_model import Account
from ledger_project_model import Project, ProjectWorker
from ledger_world import MINUTE, T0, World

from market.credits.settlement.steps import settle
from market.kit import settings
from market.kit.errors import UnavailableError

pytestmark = pytest.mark.database

SEED = int(os.environ.get("MARKET_MODEL_SEED", "20261124"))
# Some 20 s on two cores; the long run, MARKET_MODEL_OPERATIONS=1000000, takes a quarter of an hour. A fault
# between two (credits are looked at first, and taken then) shows after some 4 500 operations.
OPERATIONS = int(os.environ.get("MARKET_MODEL_OPERATIONS", "40000"))
CONNECTIONS = 8
_ROUND = 10_000  # operations between two comparisons of everything
_KILL_EVERY, _SETTLE_EVERY = 150, 400  # operations
_LOOK_S = 0.01
_GONE = (psycopg2.OperationalError, psycopg2.InterfaceError)


class Accidents:
    """Ends a session of the application at random, and settles, each after so much of the others' work."""

    def __init__(self, world: World, until: int, workers: list[ProjectWorker]) -> None:
        self.world, self.until, self.workers, self.over = world, until, workers, threading.Event()
        self.kills = self.settled = 0

    def kill(self) -> None:
        for _ in self.after_every(_KILL_EVERY):
            killed = self.world.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'market_app' ORDER BY random() LIMIT 1"
            )
            self.kills += len(killed)

    def settle(self) -> None:
        for _ in self.after_every(_SETTLE_EVERY):
            self.until += 5 * MINUTE
            settle_through(self.until)
            self.settled += 1

    def after_every(self, operations: int) -> Iterator[None]:
        """Yield each time the workers have done so many more operations, until they are through."""
        seen = self.done()
        while not self.over.wait(_LOOK_S):
            if self.done() - seen >= operations:
                seen = self.done()
                yield

    def done(self) -> int:
        return sum(worker.done for worker in self.workers)


def settle_through(until: int) -> None:
    """Settle, again and again while sessions are killed."""
    while True:
        try:
            settle(until)
            return
        except (*_GONE, UnavailableError):  # a new connection may be lost before it was used, too
            time.sleep(0.01)


@pytest.fixture
def no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the treasury give back all that jobs of many days would have it give back in these few hours."""
    loaded = settings.load()
    other = replace(loaded, credits=replace(loaded.credits, refund_bound="1000000.000000"))
    monkeypatch.setattr(settings, "load", lambda *arguments: other)


def test_the_ledger_answers_and_ends_as_the_model_says(world: World, no_bound: None) -> None:
    shared = [Account(world.member(0)) for _ in range(3)]
    lenders = [world.member(0) for _ in range(2)]
    machines = [world.machine(user) for user in lenders]
    lab = world.project(chief := world.member(0), budget_ucr=10**15)
    workers = []
    for number in range(CONNECTIONS):
        own = [Account(world.member(0)) for _ in range(3)]
        projects = [project_of(world, one.user_id, lab) for one in own[:2]]
        workers.append(ProjectWorker(number, SEED, own, shared, machines, projects=projects))
    for account in shared:
        world.grant(account.user_id, 100_000_000_000)
        account.granted = 100_000_000_000
    # One of them is always short: the refusals of parallel submissions are looked at as well.
    world.grant(poor := world.member(0), 50_000_000)
    shared.append(Account(poor, granted=50_000_000))
    # Of projects one whose jobs run and are settled, and one whose budget is always short.
    running = Account(world.project(chief, 10**11, 10**12, lab), transferred=10**11, submitter=chief)
    shared.insert(0, running)
    short = Account(world.project(chief, 10**9, 30_000_000, lab), transferred=10**9, submitter=chief)
    for worker in workers:
        worker.short = short
    world.mark(T0 + 10**9)
    until, left, kills, settled = T0 + 5 * MINUTE, OPERATIONS, 0, 0
    settle_through(until)
    began = time.monotonic()

    while left > 0:
        accidents = Accidents(world, until, workers)
        share = -(-min(left, _ROUND) // CONNECTIONS)
        with ThreadPoolExecutor(CONNECTIONS + 2) as threads:
            others = [threads.submit(accidents.kill), threads.submit(accidents.settle)]
            tasks = [threads.submit(worker.work, share) for worker in workers]
            try:
                for task in tasks:
                    task.result()
            finally:
                accidents.over.set()
            for other in others:
                other.result()
        left -= share * CONNECTIONS
        kills, settled, until = (
            kills + accidents.kills,
            settled + accidents.settled,
            accidents.until + 5 * MINUTE,
        )
        settle_through(until)
        compare(
            world,
            [short, *shared, *(one for worker in workers for one in (*worker.own, *worker.projects))],
        )
        print(
            f"{OPERATIONS - max(left, 0):9} of {OPERATIONS} operations, {time.monotonic() - began:5.0f} s, "
            f"{kills} sessions killed, {settled} settlements",
            flush=True,
        )
    spent = time.monotonic() - began

    for worker in workers:
        worker.close()
    assert world.violations() == []
    earned = sum(world.balances(user).sharing_ucr for user in lenders)
    assert earned == world.one("SELECT sum(captured_ucr) FROM hold") > 0
    assert kills > 0
    assert world.one("SELECT count(*) FROM refund") > 0
    assert any(ran.refunds for one in workers for ran in one.ran)
    assert {of for one in workers for of in one.over} == {"budget", "cap", "account", "day"}
    assert running.used > 0
    at_work, unheard = sum(one.killed for one in workers), sum(one.unheard for one in workers)
    print(
        f"{sum(one.done for one in workers)} operations over {CONNECTIONS} connections in {spent:.0f} s, "
        f"{kills} sessions killed ({at_work} at work), {unheard} unheard commits, {settled} settlements "
        f"of {sum(len(one.ran) for one in workers)} jobs meanwhile, seed {SEED}"
    )


def project_of(world: World, user_id: str, lab: str) -> Project:
    """Make a sub-project of somebody, whose own cap binds for some, and its budget for others."""
    number = world.names
    budget, cap = (40_000_000, 25_000_000) if number % 2 else (20_000_000, 30_000_000)
    made = Project(world.project(user_id, 0, budget, lab), submitter=user_id, budget=budget, cap=cap)
    world.sql("UPDATE project_member SET month_cap_ucr = %s WHERE project_id = %s", cap, made.user_id)
    return made


def compare(world: World, accounts: list[Account]) -> None:
    for account in accounts:
        balances = world.balances(account.user_id)
        assert (
            balances.granted_ucr,
            balances.using_ucr,
            balances.held_ucr,
            balances.transferred_ucr,
        ) == (account.granted, account.used, account.held, account.transferred), (
            f"account {account.user_id}, seed {SEED}"
        )
