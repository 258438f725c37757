"""The pool of connections: SQLAlchemy's QueuePool over psycopg2's connections.

Only `market.kit.database` imports this, when the first transaction is opened. SQLAlchemy takes 0.13 s to
import and 20 MiB, which those who only import functions that use the database need not pay.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from market.kit.errors import BusyError, UnavailableError

# What one process may have open. A request with an Idempotency-Key holds one connection and takes a second;
# there are at most 16 such requests at once, so that the other 16 connections are always given back.
BOUND = 32
_KEPT = 16  # of these stay open when they are not in use: a new one costs some 10 ms
_WAIT_S = 10.0  # as long as a person waits for a lock, see `patience.WEB`
_RECYCLE_S = 1800  # the server's process for a connection grows with its use


def new(connect: Callable[[], Connection]) -> QueuePool:
    """Return an empty pool whose connections are made by `connect`."""
    pool = QueuePool(
        connect,
        pool_size=_KEPT,
        max_overflow=BOUND - _KEPT,
        timeout=_WAIT_S,
        recycle=_RECYCLE_S,
        use_lifo=True,  # those that are used seldom grow old and are replaced
        reset_on_return="rollback",
    )
    event.listen(pool, "checkout", _check)
    return pool


def checkout(pool: QueuePool) -> PoolProxiedConnection:
    """Take a connection out of the pool; whoever calls gives it back with `give_back`.

    Raises BusyError when none comes back in time, psycopg2.OperationalError when the server is away.
    """
    try:
        return pool.connect()
    except PoolTimeoutError as error:
        raise BusyError(
            f"All {BOUND} connections of this process to the database are in use. Try again in a moment."
        ) from error
    except InvalidRequestError as error:  # a new connection was lost at once, twice
        raise UnavailableError("The database does not answer. Try again in a minute.") from error


def give_back(taken: PoolProxiedConnection) -> None:
    """Give a connection back, rolled back; one that was lost is replaced by a new one when it is needed."""
    connection: Any = taken.dbapi_connection
    if connection is not None and connection.closed:
        taken.invalidate()
    taken.close()


def _check(connection: Connection, *_: object) -> None:
    """Have a connection replaced that did not outlive a restart of the server.

    A connection at rest seldom receives anything. A server that ends sends a message, and the kernel closes
    the sockets of one that was killed: either makes the socket readable. So only a connection whose socket is
    readable is tested with a statement. No lock is held here, so the test delays nobody else.
    """
    if connection.closed or (_is_readable(connection) and not _answers(connection)):
        raise DisconnectionError("the server has closed this connection")


def _is_readable(connection: Connection) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _answers(connection: Connection) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.rollback()
    except psycopg2.Error:
        return False
    return True
