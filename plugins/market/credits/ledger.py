"""Accounts, holds, refunds: the ledger's functions of `sql/functions/`, in the caller's transaction.

Amounts are micro-credits. Each function that takes a `key` may be called again with the same key and the same
request: it changes nothing the second time. Those that change take their locks themselves: the hold's row
first, then the account's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2

from market.credits.project_errors import OverBudgetError, ProjectRefusesError
from market.credits.tariff import Factors
from market.kit.database import Cursor
from market.kit.errors import ConflictError, NotEnoughCreditError, NotFoundError

_NOT_ENOUGH, _KEY_REUSED, _NO_SUCH, _CLOSED = "LG001", "LG002", "LG003", "LG004"
_NOT_THAT_MUCH, _NOT_SETTLED = "LG005", "LG006"
_PROJECT_REFUSES, _OVER_BUDGET = "LG011", "LG012"


class KeyReusedError(ConflictError):
    """The key was used before, for another request."""


class HoldClosedError(ConflictError):
    """The hold is closed: its job has been settled."""


class HoldShrinksError(ConflictError):
    """A hold can only be raised."""


class NotSettledError(ConflictError):
    """The job is not settled yet: its settlement may still refund it."""


class RefundTooLargeError(ConflictError):
    """More than a job has paid and not got back yet, which is `left_ucr`."""

    def __init__(self, left_ucr: int) -> None:
        super().__init__("A refund cannot exceed what was paid.")
        self.left_ucr = left_ucr


@dataclass(frozen=True)
class Balances:
    """An account: `balance = granted + sharing - using + transferred`, `available = balance - held`."""

    sharing_ucr: int
    using_ucr: int
    granted_ucr: int
    balance_ucr: int
    held_ucr: int
    available_ucr: int
    transferred_ucr: int = 0


@dataclass(frozen=True)
class Hold:
    """What is set aside for a job, what of it was captured and what was given back.

    `user_id` is the account that pays: the project that the job was submitted for, else its owner.

    `refunded_ucr` is what was refunded for lost attempts: `amount_ucr` has grown by as much, so the job
    itself may cost the difference of the two.
    """

    job_id: str
    user_id: str
    amount_ucr: int
    captured_ucr: int
    released_ucr: int
    rate_micro: int
    weight_micro: int
    gib_weight_micro: int
    refunded_ucr: int
    open: bool

    @property
    def factors(self) -> Factors:
        """What its containers are priced with; later changes of the tariff do not matter."""
        return Factors(self.rate_micro, self.weight_micro, self.gib_weight_micro)

    @property
    def remaining_ucr(self) -> int:
        """What the job may still cost."""
        return self.amount_ucr - self.captured_ucr - self.released_ucr


def open_account(cursor: Cursor, user_id: str) -> None:
    """Open a member's account with nothing in it; again: nothing happens."""
    cursor.execute("SELECT open_account(%s)", [user_id])


def grant(
    cursor: Cursor, user_id: str, amount_ucr: int, reason: str, key: str, at_ms: int | None = None
) -> bool:
    """Give a member credits from the treasury; tell whether this call did it (False: an earlier call did).

    Raises KeyReusedError, and NotFoundError if the member has no account.
    """
    return call(cursor, "grant_credit", [user_id, amount_ucr, reason, key], at_ms) == "done"


def take_hold(
    cursor: Cursor,
    job_id: str,
    user_id: str,
    amount_ucr: int,
    rate_micro: int,
    expires_ms: int,
    at_ms: int | None = None,
) -> bool:
    """Set aside the most that a job may cost; the job's row must be there already.

    `user_id` is the account that pays: the project in the job's row, else its owner.
    `expires_ms` is when a job that has ended gets its credits back if the meter knows nothing of it.
    Raises NotEnoughCreditError, OverBudgetError, ProjectRefusesError; the transaction is then rolled back,
    and with it the job's row.
    """
    arguments = [job_id, user_id, amount_ucr, rate_micro, expires_ms]
    return call(cursor, "take_hold", arguments, at_ms, needed_ucr=amount_ucr) == "done"


def extend_hold(cursor: Cursor, job_id: str, new_amount_ucr: int, key: str, at_ms: int | None = None) -> bool:
    """Raise a job's hold to `new_amount_ucr` in all.

    Raises NotEnoughCreditError (`needed` is the difference), OverBudgetError, ProjectRefusesError,
    HoldClosedError, HoldShrinksError, KeyReusedError, NotFoundError.
    """
    held = hold_of(cursor, job_id)
    needed = new_amount_ucr - (held.amount_ucr if held else 0)
    return call(cursor, "extend_hold", [job_id, new_amount_ucr, key], at_ms, needed_ucr=needed) == "done"


def release_hold(cursor: Cursor, job_id: str, key: str, at_ms: int | None = None) -> bool:
    """Give back the hold of a job that can never have held a container; tell whether it is closed now.

    False: a run of it was handed to YARN, so a container may turn up yet; the settlement will capture what is
    due and release the rest. Raises NotFoundError if the job has no hold.
    """
    return call(cursor, "release_hold", [job_id, key], at_ms) != "metered"


def refund(
    cursor: Cursor, job_id: str, amount_ucr: int, reason: str, key: str, at_ms: int | None = None
) -> bool:
    """Give back part of what a settled job has paid, from the treasury; tell whether this call did it.

    Raises RefundTooLargeError, NotSettledError, KeyReusedError, NotFoundError.
    """
    return call(cursor, "refund_charge", [job_id, amount_ucr, reason, key], at_ms) == "done"


def hold_of(cursor: Cursor, job_id: str) -> Hold | None:
    """Return the hold of a job, None if it has none."""
    cursor.execute(
        "SELECT job_id, user_id, amount_ucr, captured_ucr, released_ucr, rate_micro, weight_micro,"
        " gib_weight_micro, (SELECT coalesce(sum(e.amount_ucr), 0)::bigint FROM hold_entry e"
        " WHERE e.job_id = hold.job_id AND e.kind = 'extend' AND e.key LIKE 'refund:%%') AS refunded_ucr,"
        " closed_ms IS NULL AS open FROM hold WHERE job_id = %s",
        [job_id],
    )
    row = cursor.fetchone()
    return Hold(**row._asdict()) if row else None


def balances(cursor: Cursor, user_id: str) -> Balances:
    """Return the account of a member or a project. Raises NotFoundError if there is none."""
    cursor.execute(
        "SELECT shared_ucr, used_ucr, granted_ucr, held_ucr, transferred_ucr FROM account WHERE user_id = %s",
        [user_id],
    )
    row = cursor.fetchone()
    if row is None:
        raise NotFoundError("There is no such account.")
    balance = row.granted_ucr + row.shared_ucr + row.transferred_ucr - row.used_ucr
    return Balances(
        sharing_ucr=row.shared_ucr,
        using_ucr=row.used_ucr,
        granted_ucr=row.granted_ucr,
        balance_ucr=balance,
        held_ucr=row.held_ucr,
        available_ucr=balance - row.held_ucr,
        transferred_ucr=row.transferred_ucr,
    )


def owed_ucr(cursor: Cursor, user_id: str) -> int:
    """Return what a lender still has to give back, of attempts that were lost with his machines."""
    cursor.execute(
        "SELECT coalesce(sum(r.return_ucr - (SELECT coalesce(sum(p.amount_ucr), 0) FROM repayment p"
        " WHERE p.job_id = r.job_id AND p.attempt = r.attempt)), 0)::bigint AS ucr"
        " FROM refund r WHERE r.lender = %s AND r.return_ucr > 0",
        [user_id],
    )
    owed: int = cursor.fetchone().ucr
    return owed


def call(cursor: Cursor, function: str, arguments: list[Any], at_ms: int | None, needed_ucr: int = 0) -> str:
    """Call a ledger function and return its answer; `at_ms` None: the database's clock.

    Raises the errors of this module, in the place of the ledger's codes.
    """
    given = arguments if at_ms is None else [*arguments, at_ms]
    places = ", ".join(["%s"] * len(given))
    with _named_errors(needed_ucr):
        cursor.execute(f"SELECT {function}({places}) AS answer", given)
        answer: str = cursor.fetchone().answer
    return answer


@contextmanager
def _named_errors(needed_ucr: int) -> Iterator[None]:
    """Turn the ledger's error codes into exceptions; all others, deadlocks among them, pass as they are."""
    try:
        yield
    except psycopg2.Error as error:
        message = error.diag.message_primary or ""
        if error.pgcode == _NOT_ENOUGH:
            available = int(error.diag.message_detail or 0)
            raise NotEnoughCreditError(available, needed_ucr) from error
        if error.pgcode == _OVER_BUDGET:
            left = int(error.diag.message_detail or 0)
            raise OverBudgetError(left, needed_ucr, error.diag.message_hint or "") from error
        if error.pgcode == _PROJECT_REFUSES:
            raise ProjectRefusesError(error.diag.message_detail or "") from error
        if error.pgcode == _KEY_REUSED:
            raise KeyReusedError(message) from error
        if error.pgcode == _NO_SUCH:
            raise NotFoundError(message) from error
        if error.pgcode == _CLOSED:
            raise HoldClosedError("The job has ended and is settled: its hold is closed.") from error
        if error.pgcode == _NOT_SETTLED:
            raise NotSettledError(
                "The job is not settled yet. Wait until its receipt is final: its settlement may refund it."
            ) from error
        if error.pgcode == _NOT_THAT_MUCH and error.diag.message_detail:
            raise RefundTooLargeError(int(error.diag.message_detail)) from error
        if error.pgcode == _NOT_THAT_MUCH:
            raise HoldShrinksError("A hold can only be raised.") from error
        raise
