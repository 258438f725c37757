"""Many operations over eight connections that are killed at random, against a model of the ledger."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from ledger_model import Account, Worker
from ledger_world import MINUTE, T0, World

from market.credits.settlement.steps import settle

pytestmark = pytest.mark.database

SEED = int(os.environ.get("MARKET_MODEL_SEED", "20261124"))
# Some 50 s on two cores; the long run, MARKET_MODEL_OPERATIONS=1000000, takes over a quarter of an hour.
OPERATIONS = int(os.environ.get("MARKET_MODEL_OPERATIONS", "100000"))
CONNECTIONS = 8
_ROUND = 20_000  # operations between two comparisons of everything
_KILL_EVERY_S = 0.2
_GONE = (psycopg2.OperationalError, psycopg2.InterfaceError)


class Accidents:
    """Ends a session of the application at random, and settles, while others work."""

    def __init__(self, world: World, until: int) -> None:
        self.world, self.until, self.over = world, until, threading.Event()
        self.kills = self.settled = 0

    def kill(self) -> None:
        while not self.over.wait(_KILL_EVERY_S):
            killed = self.world.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'market_app' ORDER BY random() LIMIT 1"
            )
            self.kills += len(killed)

    def settle(self) -> None:
        while not self.over.wait(0.5):
            self.until += 5 * MINUTE
            settle_through(self.until)
            self.settled += 1


def settle_through(until: int) -> None:
    """Settle, again and again while sessions are killed."""
    while True:
        try:
            settle(until)
            return
        except _GONE:
            time.sleep(0.01)


def test_the_ledger_answers_and_ends_as_the_model_says(world: World) -> None:
    shared = [Account(world.member(0)) for _ in range(3)]
    lenders = [world.member(0) for _ in range(2)]
    machines = [world.machine(user) for user in lenders]
    workers = [
        Worker(number, SEED, [Account(world.member(0)) for _ in range(3)], shared, machines)
        for number in range(CONNECTIONS)
    ]
    for account in shared:
        world.sql("SELECT grant_credit(%s, 100000000000, 'rich', %s)", account.user_id, account.user_id)
        account.granted = 100_000_000_000
    # One of them is always short: the refusals of parallel submissions are looked at as well.
    world.sql("SELECT grant_credit(%s, 50000000, 'poor', 'poor')", poor := world.member(0))
    shared.append(Account(poor, granted=50_000_000))
    world.mark(T0 + 10**9)
    until, left, kills, settled = T0 + 5 * MINUTE, OPERATIONS, 0, 0
    settle_through(until)
    began = time.monotonic()

    while left > 0:
        accidents = Accidents(world, until)
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
        compare(world, [*shared, *(account for worker in workers for account in worker.own)])
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
    at_work, unheard = sum(one.killed for one in workers), sum(one.unheard for one in workers)
    print(
        f"{sum(one.done for one in workers)} operations over {CONNECTIONS} connections in {spent:.0f} s, "
        f"{kills} sessions killed ({at_work} at work), {unheard} unheard commits, {settled} settlements "
        f"of {sum(len(one.ran) for one in workers)} jobs meanwhile, seed {SEED}"
    )


def compare(world: World, accounts: list[Account]) -> None:
    for account in accounts:
        balances = world.balances(account.user_id)
        assert (balances.granted_ucr, balances.using_ucr, balances.held_ucr) == (
            account.granted,
            account.used,
            account.held,
        ), f"account {account.user_id}, seed {SEED}"
