"""Connections to the market's tables, for every process except the migrator.

Everybody connects as the role `market_app`, whose rights end where the ledger's functions begin. Each process
keeps a pool for the database that its settings name; how long a transaction may take is in `patience`.
"""

from __future__ import annotations

import functools
import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import psycopg2
from psycopg2 import errors as pg_errors
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extras import NamedTupleCursor

from market.kit import settings
from market.kit.errors import BusyError
from market.kit.patience import GUARD, Patience

if TYPE_CHECKING:
    from sqlalchemy.pool import QueuePool

log = logging.getLogger(__name__)

Cursor = Any  # a NamedTupleCursor: psycopg2 ships no types
# Keeps an answer for the same request again, in the transaction that makes the answer true.
Answering = Callable[[Cursor, Mapping[str, Any]], None]
P = ParamSpec("P")
T = TypeVar("T")

_ATTEMPTS = 5
# A server whose host is gone without a word is noticed after a minute; the roles have the same for clients.
_KEEPALIVES = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_lock = threading.Lock()  # for the next two; nothing waits while it is held
_current: tuple[str, QueuePool] | None = None  # the address that the pool leads to, and the pool
_process_options = ""
_open: weakref.WeakSet[Connection] = weakref.WeakSet()


def connect() -> Connection:
    """Open a connection of its own, with rows as named tuples; for long loops and tests."""
    return _connect(_url())


def _url() -> str:
    return os.environ.get("MARKET_DATABASE_URL") or settings.load().database_url("market_app")


def _connect(url: str) -> Connection:
    connection = psycopg2.connect(
        url,
        cursor_factory=NamedTupleCursor,
        options=f"-c search_path=market -c timezone=UTC {_process_options}",
        application_name="market",
        connect_timeout=10,
        **_KEEPALIVES,
    )
    _open.add(connection)
    return connection


def limit_process(patience: Patience) -> None:
    """Give all transactions of this process these limits, unless they name their own."""
    global _process_options
    _process_options = patience.options
    dispose()


def pool_use() -> tuple[int, int, int]:
    """Return how many connections this process has in use, how many it keeps beside them, and its bound."""
    from market.kit import pool  # noqa: PLC0415 - not at the top: see there

    current = _current
    if current is None:
        return 0, 0, pool.BOUND
    return current[1].checkedout(), current[1].checkedin(), pool.BOUND


def dispose() -> None:
    """Close the connections that are kept; those in use are closed when they come back."""
    global _current
    with _lock:
        old, _current = _current, None
    if old:
        old[1].dispose()


@contextmanager
def transaction(patience: Patience | None = None) -> Iterator[Cursor]:
    """Yield a cursor; commit at the end, roll back on any error. READ COMMITTED.

    With `patience` its limits hold instead of the process's, at the price of one round trip. Raises BusyError
    when a limit was reached or no connection came free.
    """
    from market.kit import pool  # noqa: PLC0415 - not at the top: see there

    process = os.getpid()
    taken = pool.checkout(_pool())
    connection: Any = taken.dbapi_connection
    try:
        with _limits_in_words(), connection.cursor() as cursor:
            if patience:
                cursor.execute(patience.set_local)
            yield cursor
            connection.commit()
    finally:  # what is not committed is rolled back when the connection is given back
        if os.getpid() == process:  # a child that was forked meanwhile has no part in it
            pool.give_back(taken)


@contextmanager
def _limits_in_words() -> Iterator[None]:
    """Turn PostgreSQL's time limits into a BusyError. Deadlocks pass: they are for `retried`."""
    try:
        yield
    except pg_errors.LockNotAvailable as error:
        log.warning("gave up waiting for a lock: %s", error)
        raise BusyError(
            "Others are changing the same entries and take long. Try again in a moment."
        ) from error
    except (pg_errors.QueryCanceled, pg_errors.IdleInTransactionSessionTimeout) as error:
        log.warning("stopped by the database: %s", error)
        raise BusyError(
            "The database took too long for this and was stopped. Try again in a minute."
        ) from error


@contextmanager
def exclusively(lock: str) -> Iterator[bool]:
    """Tell whether this process alone does the work named `lock`; the right ends with the block.

    Two triggerers, or a loop and a person at the command line, may meet: the second one gets False at once.
    """
    with transaction(GUARD) as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0)) AS got", [lock])
        yield bool(cursor.fetchone().got)


def retried(work: Callable[[Cursor], T], patience: Patience | None = None) -> T:
    """Run `work` in a transaction; start again when PostgreSQL asks for it (40001, 40P01).

    `work` may run several times and must have no effect outside its transaction.
    """

    def once() -> T:
        with transaction(patience) as cursor:
            return work(cursor)

    return again(once)()


def again(whole: Callable[P, T]) -> Callable[P, T]:
    """Have a function that makes a transaction of its own run again when PostgreSQL asks for it.

    Like `retried`, for 40001 and 40P01; it must have no effect outside that transaction. Not for a lock that
    was not free in time (55P03). After a deadlock the rival is done; after such a wait it still holds the
    lock, and this caller has waited as long as it should: it gets a BusyError.
    """

    @functools.wraps(whole)
    def run(*args: P.args, **options: P.kwargs) -> T:
        for attempt in range(_ATTEMPTS):
            try:
                return whole(*args, **options)
            except (pg_errors.SerializationFailure, pg_errors.DeadlockDetected):
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311
        raise AssertionError("unreachable")

    return run


def _pool() -> QueuePool:
    """Return the pool for the database that the settings name now; one to another is given up."""
    global _current
    from market.kit import pool  # noqa: PLC0415 - not at the top: see there

    url, old = _url(), _current
    if old and old[0] == url:
        return old[1]
    with _lock:
        old = _current
        if old and old[0] == url:
            return old[1]
        new = pool.new(lambda: _connect(url))
        _current = (url, new)
    if old:
        old[1].dispose()
    return new


def _leave_to_parent() -> None:
    """In a forked child, let go of the parent's connections without a word to the server.

    Two processes must not speak on one socket. Nor may the child keep its copy of it: as long as the child
    lived, the server would not notice that the parent was killed, and would keep the parent's locks. The copy
    is replaced by an empty file, so that no other file of the child gets its number and a stray write harms
    nothing.
    """
    global _current, _lock
    _current, _lock = None, threading.Lock()  # another thread of the parent may have held it
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for connection in list(_open):
        if not connection.closed:
            os.dup2(nothing, connection.fileno(), inheritable=False)
    os.close(nothing)
    _open.clear()


os.register_at_fork(after_in_child=_leave_to_parent)
