"""Connections to the market's tables, for every process except the migrator.

Everybody connects as the role `market_app`, whose rights end where the ledger's functions begin.
"""

from __future__ import annotations

import functools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import psycopg2
from psycopg2 import errors as pg_errors
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extras import NamedTupleCursor

from market.kit import settings

Cursor = Any  # a NamedTupleCursor: psycopg2 ships no types
# What is to happen with an answer in the transaction that makes it true: kept for the same request again.
Answering = Callable[[Cursor, Mapping[str, Any]], None]
P = ParamSpec("P")
T = TypeVar("T")

_ATTEMPTS = 5
_idle: list[tuple[str, Any]] = []
_lock = threading.Lock()
_KEPT = 16


def connect() -> Connection:
    """Open a connection of its own, with rows as named tuples; for long loops and tests."""
    return _connect(_url())


def _url() -> str:
    return os.environ.get("MARKET_DATABASE_URL") or settings.load().database_url("market_app")


def _connect(url: str) -> Connection:
    return psycopg2.connect(
        url,
        cursor_factory=NamedTupleCursor,
        options="-c search_path=market -c timezone=UTC",
        application_name="market",
        connect_timeout=10,
    )


@contextmanager
def transaction() -> Iterator[Cursor]:
    """Yield a cursor; commit at the end, roll back on any error. READ COMMITTED."""
    url = _url()
    connection = _take(url)
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    except BaseException:
        if connection.closed == 0:
            connection.rollback()
        raise
    finally:
        _give(url, connection)


@contextmanager
def exclusively(lock: str) -> Iterator[bool]:
    """Tell whether this process alone does the work named `lock`; the right ends with the block.

    Two triggerers, or a loop and a person at the command line, may meet: the second one gets False at once.
    """
    with transaction() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0)) AS got", [lock])
        yield bool(cursor.fetchone().got)


def retried(work: Callable[[Cursor], T]) -> T:
    """Run `work` in a transaction; start again when PostgreSQL asks for it (40001, 40P01).

    `work` may run several times and must have no effect outside its transaction.
    """

    def once() -> T:
        with transaction() as cursor:
            return work(cursor)

    return again(once)()


def again(whole: Callable[P, T]) -> Callable[P, T]:
    """Have a function that makes a transaction of its own run again when PostgreSQL asks for it.

    Like `retried`, for 40001 and 40P01; it must have no effect outside that transaction.
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


def _take(url: str) -> Connection:
    with _lock:
        while _idle:
            to, connection = _idle.pop()
            if to != url:  # the settings name another database by now
                connection.close()
            elif connection.closed == 0 and connection.info.backend_pid and _alive(connection):
                return connection
    return _connect(url)


def _alive(connection: Connection) -> bool:
    """Tell whether an idle connection outlived a restart of the server, at the price of one round trip."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.rollback()
    except psycopg2.Error:
        connection.close()
        return False
    return True


def _give(url: str, connection: Connection) -> None:
    if connection.closed:
        return
    with _lock:
        if len(_idle) < _KEPT:
            _idle.append((url, connection))
            return
    connection.close()


def _forget() -> None:
    """Drop inherited connections in a forked child: two processes must not speak on one socket."""
    _idle.clear()


os.register_at_fork(after_in_child=_forget)
