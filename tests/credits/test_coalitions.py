"""No coalition gains: people submit, lend, lose, drain, cancel and hide what they have, in any order.

Up to five of them act together, and no others' work or credits are theirs. The actions are drawn from a seed,
which a failure names; time is simulated, the ledger is the real one. What a coalition has is never more than

    its grants + the stipends' cap + the refund bound for each of them and day
    + what others paid for its machines, less what was returned of it
    - what it paid for others' machines, less what was returned of that

by sums over charges and repayments alone, whatever the settlement made of them.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import combinations

import pytest
from ledger_world import MINUTE, T0, World

from market.credits.settlement.steps import settle
from market.kit import settings

pytestmark = pytest.mark.database

SEED = int(os.environ.get("MARKET_COALITION_SEED", "20261129"))
INTERVALS = int(os.environ.get("MARKET_COALITION_INTERVALS", "40"))
_PATIENCE_S = 12.0  # fewer intervals on a busy machine
_LONG_S = 300.0  # for what must be found
_PEOPLE, _TOGETHER = 7, 5
GRANT, BOUND, CAP = 2_000_000, 20_000, 100
DAY = 86_400_000


@dataclass
class Machine:
    machine_id: str
    owner: str | None


@dataclass
class Job:
    job_id: str
    user: str
    attempt: int = 1
    containers: dict[str, Machine] = field(default_factory=dict)  # that run; the first is the driver's


class Market:
    """People who do what comes to their minds."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.seed, self.chance = world, seed, random.Random(seed)
        self.now = T0
        self.people = [world.member(GRANT) for _ in range(3)]
        self.pool = Machine(world.machine(None), None)
        self.machines: list[Machine] = []
        self.jobs: list[Job] = []
        self.done: Counter[str] = Counter()
        world.mark(T0 + 1000 * DAY)

    def live(self) -> None:
        """Let some minutes go by, in which things happen."""
        kinds = [
            self.register,
            self.lend,
            self.lend,
            *[self.submit] * 5,
            *[self.cheat] * 3,
            *[self.lose] * 4,
            self.drain,
        ]
        kinds += [self.preempt, self.cancel, self.finish, self.hide]
        for _ in range(self.chance.randrange(3, 9)):
            self.now += self.chance.randrange(1000, 2 * MINUTE)
            self.chance.choice(kinds)()
        self.now += self.chance.choice((1, MINUTE, 5 * MINUTE, 5 * MINUTE))
        if self.chance.random() < 0.05:
            self.now += DAY // 2

    def register(self) -> None:
        if len(self.people) < _PEOPLE:
            self.people.append(self.world.member(GRANT, self.now))
            self.done["register"] += 1

    def lend(self) -> None:
        owner = self.chance.choice(self.people)
        machine = Machine(self.world.machine(owner), owner)
        self.world.online(machine.machine_id, self.now, self.now + DAY)
        self.machines.append(machine)
        self.done["lend"] += 1

    def submit(self) -> None:
        """Submit a job; its driver runs in the pool, or where that has none on a lent machine."""
        user = self.chance.choice(self.people)
        available = self.world.balances(user).available_ucr
        if not self.machines or available < 1000:
            return
        job = Job(self.world.job(user, self.chance.randrange(1000, available + 1) // 2 + 500, self.now), user)
        self.jobs.append(job)
        self.start(job)
        self.done["submit"] += 1

    def cheat(self) -> None:
        """Lend a machine, submit to it, and mean to take it away."""
        self.machines.append(
            mine := Machine(self.world.machine(user := self.chance.choice(self.people)), user)
        )
        available = self.world.balances(user).available_ucr
        if available >= 1000:
            self.jobs.append(job := Job(self.world.job(user, available // 2, self.now), user))
            self.place(job, [mine, *self.chance.sample(self.machines, 1)])
            self.done["cheat"] += 1

    def start(self, job: Job) -> None:
        own = [machine for machine in self.machines if machine.owner == job.user]
        offered = self.machines + own * len(self.machines)  # many try it with their own
        places = [self.pool if self.chance.random() < 0.3 else self.chance.choice(offered)]
        places += [self.chance.choice(offered) for _ in range(self.chance.randrange(3))]
        self.place(job, places)

    def place(self, job: Job, places: list[Machine]) -> None:
        """Begin an attempt: the driver in the first place."""
        for place in places:
            container = self.world.container(
                job.job_id,
                place.machine_id,
                self.now,
                role="executor" if job.containers else "driver",
                vcores=self.chance.randrange(1, 8),
                attempt=job.attempt,
            )
            job.containers[container] = place

    def lose(self) -> None:
        self.take_away("node_lost")

    def drain(self) -> None:
        self.take_away("drained")

    def take_away(self, kind: str) -> None:
        """Take a machine away; its owner may have waited for a job of his own to be on it."""
        if not self.machines:
            return
        used = [place for job in self.jobs for place in job.containers.values() if place.owner]
        machine = self.chance.choice(used or self.machines)
        if machine in self.machines:
            self.machines.remove(machine)
        for job in list(self.jobs):
            self.end(job, [name for name, place in job.containers.items() if place is machine], kind)
        self.done[kind] += 1

    def preempt(self) -> None:
        if self.jobs:
            job = self.chance.choice(self.jobs)
            self.end(job, [self.chance.choice(list(job.containers))], "preempted")
            self.done["preempted"] += 1

    def end(self, job: Job, gone: list[str], kind: str) -> None:
        """End some of a job's containers; with its driver the attempt ends, and often the job."""
        if not gone:
            return
        driver = next(iter(job.containers))
        for container in gone:
            self.world.end_container(container, self.now, kind)
        if driver not in gone:
            for container in gone:
                del job.containers[container]
            return
        for container in set(job.containers) - set(gone):
            self.world.end_container(container, self.now, "killed")
        job.containers = {}
        if self.machines and self.chance.random() < 0.4:
            job.attempt += 1
            self.start(job)
        else:
            self.close(job, "pool_failure")

    def cancel(self) -> None:
        self.stop("cancelled")

    def finish(self) -> None:
        self.stop(None)

    def stop(self, reason_code: str | None) -> None:
        if self.jobs:
            job = self.chance.choice(self.jobs)
            for container in job.containers:
                self.world.end_container(container, self.now, "killed" if reason_code else "finished")
            self.close(job, reason_code)
            self.done[reason_code or "finished"] += 1

    def close(self, job: Job, reason_code: str | None) -> None:
        self.jobs.remove(job)
        self.world.end_job(job.job_id, self.now, reason_code=reason_code)

    def hide(self) -> None:
        """Put all that somebody has aside, for a job that runs in the pool alone: nothing can be taken."""
        user = self.chance.choice(self.people)
        available = self.world.balances(user).available_ucr
        if available:
            job = Job(self.world.job(user, available, self.now), user)
            driver = self.world.container(job.job_id, self.pool.machine_id, self.now, role="driver")
            job.containers[driver] = self.pool
            self.jobs.append(job)
            self.done["hide"] += 1

    # --- what must hold ---

    def check(self) -> None:
        has = {user: self.world.balances(user).balance_ucr for user in self.people}
        paid = self.flows(
            "SELECT h.user_id AS payer, m.user_id AS lender, sum(c.amount_ucr)::bigint AS ucr FROM charge c"
            " JOIN container_usage u USING (container_id) JOIN hold h USING (job_id)"
            " LEFT JOIN machine m USING (machine_id) GROUP BY 1, 2"
        )
        back = self.flows(
            "SELECT h.user_id AS payer, r.lender, sum(p.amount_ucr)::bigint AS ucr FROM repayment p"
            " JOIN refund r USING (job_id, attempt) JOIN hold h USING (job_id) GROUP BY 1, 2"
        )
        intervals = self.world.one("SELECT count(*) FROM settlement")
        days = (self.now - self.now % DAY - (T0 - T0 % DAY)) // DAY + 1
        for size in range(1, _TOGETHER + 1):
            for coalition in combinations(self.people, size):
                among = set(coalition)
                most = size * (GRANT + BOUND * days) + CAP * intervals
                for (payer, lender), ucr in paid.items():
                    if (payer in among) != (lender in among):
                        net = ucr - back.get((payer, lender), 0)
                        most += -net if payer in among else net
                together = sum(has[user] for user in coalition)
                assert together <= most, (
                    f"seed {self.seed}: {size} people have {together} ucr, {together - most} too much"
                )

    def flows(self, statement: str) -> dict[tuple[str, str | None], int]:
        return {(row.payer, row.lender): row.ucr for row in self.world.sql(statement)}


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound what the treasury gives far below what jobs cost, so that nothing hides below it."""
    loaded = settings.load()
    bounds = {"refund_bound": "0.020000", "stipend_cap_per_interval": "0.000100"}
    bounds |= {"settlement_cron": "0 0 * * *"}  # intervals end where the test settles
    other = replace(loaded, credits=replace(loaded.credits, **bounds))
    monkeypatch.setattr(settings, "load", lambda *arguments: other)


def live(market: Market, patience_s: float) -> int:
    """Let people live through the intervals, or as many as there is time for; return how many."""
    until = time.monotonic() + patience_s
    for interval in range(INTERVALS):
        market.live()
        settle(market.now)
        market.check()
        if time.monotonic() > until:
            return interval + 1
    return INTERVALS


def test_whatever_people_do_no_coalition_gains(world: World, small_bounds: None) -> None:
    market = Market(world, SEED)
    lived = live(market, _PATIENCE_S)
    print(f"{lived} intervals, {dict(market.done)}, seed {SEED}")
    assert world.violations() == [], f"seed {SEED}"
    assert world.one("SELECT count(*) FROM repayment") > 0
    assert world.one("SELECT count(*) FROM refund WHERE own_ucr > 0") > 0
    assert world.one("SELECT count(*) FROM refund WHERE amount_ucr > 0") > 0


RULE = "greatest(0, s.refund_bound_ucr - refunded_that_day(s, submitter) - before_ucr)"
# The treasury gave back all that a lost attempt had paid, and lenders kept their pay.
BEFORE = {
    RULE: "ucr",
    "THEN p.earned_ucr": "THEN 0",
    "p.paid_ucr, p.own_ucr,": "p.paid_ucr, 0::bigint AS own_ucr,",
}


@pytest.mark.parametrize("changes", [BEFORE, {RULE: "ucr"}], ids=["as it was before", "without the bound"])
def test_a_coalition_that_gains_is_found(world: World, small_bounds: None, changes: dict[str, str]) -> None:
    text = world.one("SELECT pg_get_functiondef('refund_due'::regproc)")
    for right, wrong in changes.items():
        assert right in text
        text = text.replace(right, wrong)
    world.sql(text)
    for invariant in ("refund", "supply"):  # they would notice before
        world.sql(
            f"CREATE OR REPLACE FUNCTION invariant_{invariant}(only_new boolean)"
            " RETURNS TABLE (subject text, detail text) LANGUAGE sql AS 'SELECT NULL, NULL WHERE false'"
        )
    with pytest.raises(AssertionError, match="too much"):
        live(Market(world, SEED), _LONG_S)
