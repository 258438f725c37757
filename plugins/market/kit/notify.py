"""Notifications between the market's processes, through PostgreSQL: nobody who waits has to poll for it."""

from __future__ import annotations

import select
import time

import psycopg2

from market.kit import database

NEW_JOB = "market_new_job"


def notify(cursor: database.Cursor, channel: str) -> None:
    """Notify whoever listens on a channel, when the transaction commits."""
    cursor.execute("SELECT pg_notify(%s, '')", [channel])


class Listener:
    """Waits for notifications on a channel, over a connection of its own; for one thread."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._connection: database.Connection | None = None
        self._lost = False  # a connection was lost, and none was made since

    def wait(self, within_s: float) -> bool:
        """Wait for a notification, at most so long; tell whether one arrived since the last call.

        One that has arrived already is answered at once. Those before the first call are missed. While the
        server is away the answer is False, at once; the first call after that answers True, as a notification
        may have been missed.
        """
        try:
            if self._connection is None:
                self._connection = self._listen()
                if self._lost:
                    self._lost = False
                    return True
            connection = self._connection
            connection.poll()
            # What arrives need not be a notification: the server's last word comes before the end that tells.
            until = time.monotonic() + within_s
            while not connection.notifies and _readable(connection, max(0.0, until - time.monotonic())):
                connection.poll()
            arrived = bool(connection.notifies)
            connection.notifies.clear()
        except psycopg2.Error:
            self._connection, self._lost = None, True
            return False
        return arrived

    def _listen(self) -> database.Connection:
        connection = database.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {self._channel}")
        return connection


def _readable(connection: database.Connection, within_s: float) -> bool:
    poll = select.poll()  # select() knows no file with a number over 1023
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(within_s * 1000))
