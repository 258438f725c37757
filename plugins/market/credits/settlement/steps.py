"""Settlement: closes one interval of time after the other and moves the credits that are due.

The work is done by the functions of `sql/functions/`, a file for each step. Here is the order: which
intervals, and for each the steps freeze, price, capture, pay, reconcile and seal, each call in a
transaction of its own. The command line and the DAG `credit_settlement` both come through here. A run that
died anywhere is finished by the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import psycopg2
from croniter import croniter

from market.kit import database, settings
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.errors import BadInputError, ConflictError, MarketError, UnavailableError
from market.kit.patience import SETTLEMENT

_CHUNK = 500  # jobs captured in one transaction: their payers are locked meanwhile
_HANDS = 2  # connections that capture; more would take the server's cores from submissions
_PATIENCE_S = 60.0
_SOFT_WAIT_S = 15.0
_POLL_S = 0.25
_CLASHES = 5
_TARIFF = (
    *("fee", "stipend_per_core_hour", "stipend_cap_per_interval"),
    *("initial_rate", "rate_min", "rate_max", "target_utilisation"),
)
_OUT_OF_ORDER, _VIOLATED = "LG010", "LG020"


class OutOfOrderError(ConflictError):
    """It is not the turn of this interval or step: not yet, or not any more."""


class MeterBehindError(UnavailableError):
    """The meter has not reported yet on containers that may have run in the interval."""


class InvariantError(MarketError):
    """The ledger does not add up; `detail` names every row. Nothing was repaired."""

    title = "The ledger does not add up"


@dataclass(frozen=True)
class SettledInterval:
    """A settled interval and what moved in it."""

    interval_id: int
    from_ms: int
    until_ms: int
    rate_micro: int
    captured_ucr: int
    fee_ucr: int
    stipend_ucr: int
    refunded_ucr: int
    returned_ucr: int


@dataclass(frozen=True)
class _Closed:
    """An interval that was just frozen."""

    end_ms: int
    interval_id: int


def settle(until_ms: int | None = None, patience_s: float = _PATIENCE_S) -> list[SettledInterval]:
    """Settle everything up to `until_ms` (epoch milliseconds; None: now); return what was settled, in order.

    Intervals end where the cron schedule says, the last one at `until_ms`. What is settled already stays
    as it is. Raises BadInputError for a time to come, MeterBehindError when the meter does not report for
    `patience_s` seconds, InvariantError.
    """
    now = now_ms()
    until = now if until_ms is None else until_ms
    if until > now:
        raise BadInputError({"until": [f"{_utc(until)} is still to come"]})
    settled = finish()
    while closed := _close_next(until, patience_s):
        settled.append(run_steps(closed.interval_id))
    return settled


def prepare(until_ms: int, patience_s: float = _PATIENCE_S) -> int | None:
    """Settle what is due before the interval that ends at `until_ms`, and freeze that one.

    Return its number; None if its time is settled already. It is the first task of the DAG: one run closes
    all intervals that were missed, however many.
    """
    while closed := _close_next(until_ms, patience_s):
        if closed.end_ms == until_ms:
            return closed.interval_id
        run_steps(closed.interval_id)
    return None


def _close_next(until_ms: int, patience_s: float) -> _Closed | None:
    """Freeze the next interval that is due until then; finish first what an earlier run left half done.

    The DAG and a person at the command line may settle at once. Whichever finds that the other has closed an
    interval goes on with the next one.
    """
    for clash in range(_CLASHES + 1):
        try:
            finish()
            end_ms = _next_end(until_ms)
            return None if end_ms is None else _Closed(end_ms, freeze(end_ms, patience_s))
        except OutOfOrderError:
            if clash == _CLASHES:
                raise
    raise AssertionError("unreachable")


def finish() -> list[SettledInterval]:
    """Finish the interval that an earlier run left half done, if there is one."""
    last = _last()
    if last is None or last.sealed:
        return []
    return [run_steps(last.interval_id)]


def freeze(until_ms: int, patience_s: float = _PATIENCE_S) -> int:
    """Close the open interval at `until_ms`, as soon as the meter knows all about it; return its number.

    Raises OutOfOrderError, MeterBehindError.
    """
    credits, machines = settings.load().credits, settings.load().machines
    # YARN checks for silent nodes at every third of the expiry. With the poll that observes the loss, it may
    # be known only 1.5 times the expiry after the node fell silent.
    lost_after_ms = machines.node_expiry_s * 1500
    _wait_for_meter(until_ms, lost_after_ms, patience_s)
    tariff = [credits.micro(name) for name in _TARIFF]
    bound_ucr = credits.micro("refund_bound")
    return _call("SELECT settle_freeze(%s" + ", %s" * 9 + ")", [until_ms, *tariff, lost_after_ms, bound_ucr])


def price(interval_id: int) -> None:
    """Write the interval's tick: the rate that holds from its end on."""
    _call("SELECT settle_price(%s)", [interval_id])


def capture(interval_id: int) -> None:
    """Charge what was used, job by job, and give back the rest of the holds whose jobs are final."""
    chunks = _all("SELECT * FROM capture_chunks(%s, %s)", [interval_id, _CHUNK])

    failed = threading.Event()

    def charge(chunk: Any) -> None:
        if failed.is_set():
            return
        try:
            _call("SELECT capture_chunk(%s, %s, %s)", [interval_id, chunk.first_job, chunk.last_job])
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(_HANDS, "capture") as hands:
        for _ in hands.map(charge, chunks):
            pass
    _call("SELECT settle_capture(%s)", [interval_id])


def pay(interval_id: int) -> None:
    """Pay the owners of the machines and the stipend, and give back what lost attempts had paid."""
    _call("SELECT settle_pay(%s)", [interval_id])


def reconcile(interval_id: int) -> None:
    """Check that the ledger adds up. Raises InvariantError, naming the rows."""
    _call("SELECT settle_reconcile(%s)", [interval_id])


def seal(interval_id: int) -> None:
    """Seal the interval's rows, so that a later change of them is noticed. Raises InvariantError.

    What was posted since `reconcile` is sealed as well, and checked before.
    """
    _call("SELECT settle_seal(%s)", [interval_id])


def run_steps(interval_id: int) -> SettledInterval:
    """Do those steps after the freeze that are not done yet."""
    steps: tuple[Callable[[int], None], ...] = (price, capture, pay, reconcile, seal)
    for step in steps:
        step(interval_id)
    return _settled(interval_id)


def _next_end(until_ms: int) -> int | None:
    """Return where the open interval ends: at the schedule's next time, or at `until_ms` before that.

    None if everything until then is closed.
    """
    last = _last()
    since_ms = last.until_ms if last else _first_ms()
    if since_ms is None or since_ms >= until_ms:
        return None
    schedule = croniter(settings.load().credits.settlement_cron, datetime.fromtimestamp(since_ms / 1000, UTC))
    while True:
        at_ms = round(schedule.get_next(float) * 1000)
        if at_ms > since_ms:
            return min(at_ms, until_ms)


def _wait_for_meter(until_ms: int, lost_after_ms: int, patience_s: float) -> None:
    """Wait until the meter's polls cover the interval: see `mark_needed` in sql/functions/04_steps.sql."""
    started = time.monotonic()
    while True:
        with database.transaction(SETTLEMENT) as cursor:
            cursor.execute(
                "SELECT mark_needed(%s, %s) AS needed, (SELECT at_ms FROM meter_mark) AS mark",
                [until_ms, lost_after_ms],
            )
            row = cursor.fetchone()
        mark, waited_s = row.mark or 0, time.monotonic() - started
        if row.needed is None:
            # Nothing can be charged. A live meter still gets a moment to count uptime until the interval's
            # end.
            alive = now_ms() - mark < 2 * _SOFT_WAIT_S * 1000
            if mark >= until_ms or not alive or waited_s > _SOFT_WAIT_S:
                return
        elif mark >= row.needed:
            return
        elif min(waited_s, (now_ms() - row.needed) / 1000) > patience_s:
            raise MeterBehindError(
                f"The meter's last report is of {_utc(mark)}; to close the interval at {_utc(until_ms)} one "
                f"of {_utc(row.needed)} is needed. See ./market logs triggerer and the DAG cluster_meter."
            )
        time.sleep(_POLL_S)


def _utc(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC" if ms else "never"


def _call(statement: str, arguments: list[Any]) -> Any:
    """Run one call of a step in a transaction, again after a deadlock; return its answer."""
    return _all(statement, arguments)[0][0]


def _all(statement: str, arguments: list[Any]) -> Any:
    """Run one statement like `_call`; return all rows of the answer."""

    def work(cursor: Cursor) -> Any:
        cursor.execute(statement, arguments)
        return cursor.fetchall()

    try:
        return database.retried(work, SETTLEMENT)
    except psycopg2.Error as error:
        if error.pgcode == _OUT_OF_ORDER:
            raise OutOfOrderError(error.diag.message_primary or "") from error
        if error.pgcode == _VIOLATED:
            raise InvariantError(f"{error.diag.message_primary}:\n{error.diag.message_detail}") from error
        raise


def _last() -> Any:
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT interval_id, until_ms,"
            " EXISTS (SELECT FROM settlement_step t WHERE t.interval_id = s.interval_id AND step = 'seal')"
            " AS sealed FROM settlement s ORDER BY interval_id DESC LIMIT 1"
        )
        return cursor.fetchone()


def _first_ms() -> int | None:
    with database.transaction() as cursor:
        cursor.execute("SELECT min(opened_ms) FROM account")
        first: int | None = cursor.fetchone()[0]
    return first


def _settled(interval_id: int) -> SettledInterval:
    with database.transaction() as cursor:
        cursor.execute("SELECT * FROM settlement_summary WHERE interval_id = %s", [interval_id])
        row = cursor.fetchone()
    return SettledInterval(**{field.name: getattr(row, field.name) for field in fields(SettledInterval)})
