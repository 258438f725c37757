"""The ledger a second time, in a few lines of Python: it says beforehand what each call may answer.

A `Worker` calls the real ledger over a connection of its own, on accounts that are his alone, where each
answer is foretold, and on accounts that all workers share, where only some are and the sums must fit in the
end. He is killed now and then, or does not hear whether his COMMIT came through, and asks again with the same
key.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from ledger_world import GIB_WEIGHT, RATE, SPEC, T0, WEIGHT, given

from market.credits import ledger, tariff
from market.kit import database
from market.kit.errors import ConflictError, NotEnoughCreditError, NotFoundError, OverLimitError

_LOST_ANSWERS = 0.01
_GONE = (psycopg2.OperationalError, psycopg2.InterfaceError)


class UnheardError(Exception):
    """The server has committed, and nobody was told."""


@dataclass
class Held:
    """A hold; `changes` are the keys that raised it, with what it was then."""

    amount: int
    closed: bool = False
    changes: dict[str, int] = field(default_factory=dict)


@dataclass
class Ran:
    """A job that ran and ended: what it will have paid once it is settled, and what was given back of it."""

    job_id: str
    account: Account
    paid: int
    settled: bool = False
    refunds: dict[str, int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        return self.paid - sum(self.refunds.values())


@dataclass
class Account:
    """An account as it must be."""

    user_id: str
    granted: int = 0
    used: int = 0
    transferred: int = 0
    holds: dict[str, Held] = field(default_factory=dict)
    grants: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    submitter: str = ""  # where it is a project: the member whose jobs it pays

    @property
    def member_id(self) -> str:
        return self.submitter or self.user_id

    @property
    def held(self) -> int:
        return sum(hold.amount for hold in self.holds.values() if not hold.closed)

    @property
    def available(self) -> int:
        return self.granted + self.transferred - self.used - self.held


@dataclass
class Worker:
    """One connection and what it did. `shared` are the accounts that it does not have alone."""

    number: int
    seed: int
    own: list[Account]
    shared: list[Account]
    machines: list[str]
    done: int = 0
    killed: int = 0
    unheard: int = 0
    ran: list[Ran] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed} {self.number}")
        self.connection = database.connect()
        self.names = 0
        self.open_shared: list[tuple[str, Held]] = []
        self.kinds: list[Callable[[], None]] = [
            *[self.grant] * 2,
            *[self.hold] * 4,
            *[self.extend] * 3,
            *[self.release] * 3,
            *[self.again] * 2,
            *[self.nobody, self.run_job, self.give_back],
            *[self.shared_hold] * 4,
            *[self.shared_release] * 3,
        ]

    def work(self, operations: int) -> None:
        """Do that many operations, one after the other."""
        until = self.done + operations
        while self.done < until:
            self.chance.choice(self.kinds)()

    def close(self) -> None:
        self.connection.close()

    # --- asking ---

    def ask(self, work: Callable[[Any], Any]) -> Any:
        """Run a transaction until its end is known; return its answer, or the error that the ledger names.

        After a kill the same is asked again: what was carried out then answers False, "an earlier call".
        """
        asked_again = False
        self.done += 1
        while True:
            try:
                with self.connection, self.connection.cursor() as cursor:
                    answer = work(cursor)
                if self.chance.random() < _LOST_ANSWERS:
                    self.unheard += 1
                    raise UnheardError
                return True if asked_again and answer is False else answer
            except (ConflictError, NotEnoughCreditError, NotFoundError, OverLimitError) as error:
                return error
            except UnheardError:
                asked_again = True
            except (psycopg2.errors.DeadlockDetected, psycopg2.errors.SerializationFailure):
                continue
            except _GONE:
                self.killed += 1
                asked_again = True
                self.connect_again()

    def connect_again(self) -> None:
        self.connection.close()
        until = time.monotonic() + 30
        while True:
            try:
                self.connection = database.connect()
                return
            except psycopg2.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def expect(self, answer: object, wanted: object) -> None:
        """Compare an answer: with a value, or with the class of an error."""
        fits = isinstance(answer, wanted) if isinstance(wanted, type) else answer == wanted
        assert fits, (
            f"worker {self.number}, operation {self.done}, seed {self.seed}: {answer!r}, not {wanted!r}"
        )

    def key(self) -> str:
        self.names += 1
        return f"w{self.number}:{self.names}"

    def new_job(self) -> str:
        self.names += 1
        return f"{self.number + 1:08x}{self.names:024x}"

    # --- operations on accounts of one's own ---

    def grant(self) -> None:
        account, amount = self.chance.choice(self.own), self.chance.randrange(1, 5_000_000)
        key = given("grant", account.user_id, account.user_id, self.key())
        answer = self.ask(lambda cursor: ledger.grant(cursor, account.user_id, amount, "more", key, T0))
        self.expect(answer, True)
        account.granted += amount
        account.grants[key] = amount

    def hold(self) -> None:
        account = self.chance.choice(self.own)
        amount = self.chance.randrange(0, account.available * 4 // 3 + 2)
        job_id = self.new_job()
        answer = self.ask(lambda cursor: submit(cursor, job_id, account, amount))
        if amount > account.available:
            self.expect(answer, NotEnoughCreditError)
            self.expect((answer.available_ucr, answer.needed_ucr), (account.available, amount))
            return
        self.expect(answer, True)
        account.holds[job_id] = Held(amount)

    def extend(self) -> None:
        account, job_id, held = self.any_hold()
        if held is None:
            return
        amount, key = max(0, held.amount + self.chance.randrange(-1000, 2_000_000)), self.key()
        answer = self.ask(lambda cursor: ledger.extend_hold(cursor, job_id, amount, key, T0))
        if held.closed:
            self.expect(answer, ledger.HoldClosedError)
        elif amount < held.amount:
            self.expect(answer, ledger.HoldShrinksError)
        elif amount - held.amount > account.available:
            self.expect(answer, NotEnoughCreditError)
            self.expect(answer.available_ucr, account.available)
        else:
            self.expect(answer, True)
            held.amount = amount
            held.changes[key] = amount

    def release(self) -> None:
        _, job_id, held = self.any_hold()
        if held is None:
            return
        key = f"release:{job_id}"
        self.expect(self.ask(lambda cursor: ledger.release_hold(cursor, job_id, key, T0)), True)
        held.closed = True

    def again(self) -> None:
        """Send an old request once more, or another one with its key."""
        account, job_id, held = self.any_hold()
        same = self.chance.random() < 0.5
        other = 0 if same else 1
        expected: object = False if same else ledger.KeyReusedError
        if account.grants and self.chance.random() < 0.5:
            key, amount = self.chance.choice(list(account.grants.items()))
            user_id = account.user_id
            work = lambda cursor: ledger.grant(cursor, user_id, amount + other, "more", key, T0)  # noqa: E731
        elif (ran := self.any_ran()) and ran.refunds and self.chance.random() < 0.5:
            key, amount = self.chance.choice(list(ran.refunds.items()))
            work = lambda cursor: ledger.refund(cursor, ran.job_id, amount + other, "sorry", key, T0)  # noqa: E731
        elif held is not None and held.changes:
            key, amount = self.chance.choice(list(held.changes.items()))
            work = lambda cursor: ledger.extend_hold(cursor, job_id, amount + other, key, T0)  # noqa: E731
        else:
            return
        answer = self.ask(work)
        if same and answer is True:  # it was asked again after a kill
            answer = False
        self.expect(answer, expected)

    def nobody(self) -> None:
        stranger = f"{self.chance.getrandbits(128) | 1 << 127:032x}"
        calls: list[Callable[[Any], Any]] = [
            lambda cursor: ledger.grant(cursor, stranger, 1, "x", self.key(), T0),
            lambda cursor: ledger.extend_hold(cursor, stranger, 1, self.key(), T0),
            lambda cursor: ledger.release_hold(cursor, stranger, self.key(), T0),
            lambda cursor: ledger.refund(cursor, stranger, 1, "x", self.key(), T0),
        ]
        self.expect(self.ask(self.chance.choice(calls)), NotFoundError)

    def any_hold(self) -> tuple[Account, str, Held | None]:
        account = self.chance.choice(self.own)
        if not account.holds:
            return account, "", None
        # Mostly one of the newest: old ones are closed.
        job_id = self.chance.choice(list(account.holds)[-8:])
        return account, job_id, account.holds[job_id]

    # --- operations on accounts that others use at the same time ---

    def shared_hold(self) -> None:
        # Every other time the last one, which is always short: what goes wrong between two goes wrong there.
        account = self.chance.choice((self.shared[-1], self.chance.choice(self.shared)))
        amount, job_id = self.chance.randrange(1, 3_000_000), self.new_job()
        answer = self.ask(lambda cursor: submit(cursor, job_id, account, amount))
        if answer is True:
            account.holds[job_id] = held = Held(amount)
            self.open_shared.append((job_id, held))
        else:
            self.expect(answer, NotEnoughCreditError)
            assert answer.available_ucr < amount

    def shared_release(self) -> None:
        if self.open_shared:
            # Only its own: what other workers hold changes while one looks.
            job_id, held = self.open_shared.pop(self.chance.randrange(len(self.open_shared)))
            key = f"release:{job_id}"
            self.expect(self.ask(lambda cursor: ledger.release_hold(cursor, job_id, key, T0)), True)
            held.closed = True

    def run_job(self) -> None:
        """Submit a job to a shared account, let the meter see all of it, and leave it to the settlement."""
        account, amount = self.chance.choice(self.shared), self.chance.randrange(1, 400_000)
        job_id, start = self.new_job(), T0 + self.chance.randrange(60_000)
        sizes = [
            (
                number,
                self.chance.randrange(1, 4),
                self.chance.randrange(256, 4096),
                self.chance.randrange(600_000),
            )
            for number in range(self.chance.randrange(1, 4))
        ]
        refunded = self.chance.random() < 0.1

        def work(cursor: Any) -> bool:
            held = submit(cursor, job_id, account, amount)
            if held:
                _meter(cursor, job_id, start, sizes, self.machines, refunded)
            return held

        answer = self.ask(work)
        if answer is not True:
            self.expect(answer, NotEnoughCreditError)
            return
        cost = sum(int(tariff.price(RATE, WEIGHT, GIB_WEIGHT, cores, mib, ms)) for _, cores, mib, ms in sizes)
        account.holds[job_id] = Held(amount, closed=True)
        ran = Ran(job_id, account, 0 if refunded else min(cost, amount))
        with account.lock:
            account.used += ran.paid
        self.ran.append(ran)

    def give_back(self) -> None:
        """Refund an ended job, which others settle at some time."""
        ran = self.any_ran()
        if ran is None:
            return
        amount = self.chance.randrange(1, ran.paid * 2 // 3 + 2)
        key = given("refund", ran.account.member_id, ran.job_id, self.key())
        answer = self.ask(lambda cursor: ledger.refund(cursor, ran.job_id, amount, "sorry", key, T0))
        if isinstance(answer, ledger.NotSettledError):
            self.expect(ran.settled, False)
            return
        ran.settled = True
        if amount > ran.left:
            self.expect(answer, ledger.RefundTooLargeError)
            self.expect(answer.left_ucr, ran.left)
            return
        self.expect(answer, True)
        ran.refunds[key] = amount
        with ran.account.lock:
            ran.account.used -= amount

    def any_ran(self) -> Ran | None:
        return self.chance.choice(self.ran[-64:]) if self.ran else None


def submit(cursor: Any, job_id: str, account: Account, amount: int) -> bool:
    """Store a job and take its hold from an account, of a member or of a project."""
    cursor.execute(
        "INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro, weight_micro,"
        " gib_weight_micro, status, added_ms, project_id)"
        " VALUES (%s, %s, 'x', %s, 'cpu', 1, %s, %s, %s, 'submitted', %s, %s)"
        " ON CONFLICT DO NOTHING",
        [
            *(job_id, account.member_id, SPEC, RATE, WEIGHT, GIB_WEIGHT, T0),
            account.user_id if account.submitter else None,
        ],
    )
    return ledger.take_hold(cursor, job_id, account.user_id, amount, RATE, T0 + 86_400_000, T0)


def _meter(
    cursor: Any,
    job_id: str,
    start: int,
    sizes: list[tuple[int, int, int, int]],
    machines: list[str],
    lost: bool,
) -> None:
    application = f"application_{job_id}"
    end = start + max(ms for *_, ms in sizes)
    cursor.execute(
        "INSERT INTO application_usage (application_id, job_id, last_seen_ms, final, final_ms)"
        " VALUES (%s, %s, %s, true, %s)",
        [application, job_id, end, end],
    )
    for number, cores, mib, ms in sizes:
        cursor.execute(
            "INSERT INTO container_usage"
            " VALUES (%s, %s, %s, 1, %s, 'n:1', 'h', %s, %s, %s, %s, %s, %s, 'killed')",
            [
                *(f"container_{job_id}_{number}", job_id, application, "executor" if number else "driver"),
                *(machines[number % len(machines)], cores, mib, start, start + ms, start + ms),
            ],
        )
    ended = [end, application, end, "pool_failure" if lost else None]
    cursor.execute(
        "INSERT INTO job_point (job_id, point, params) VALUES (%s, 0, '{}');"
        "INSERT INTO run (job_id, point, attempt, tag, status, since_ms, application_id, ended_ms,"
        " reason_code) VALUES (%s, 0, 1, %s, 'succeeded', %s, %s, %s, %s)",
        [job_id, job_id, job_id, *ended],
    )
    cursor.execute(
        "UPDATE job SET status = 'succeeded', application_id = %s, ended_ms = %s, reason_code = %s"
        " WHERE job_id = %s",
        [*ended[1:], job_id],
    )
