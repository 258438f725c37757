"""News between the market's processes, through PostgreSQL: who waits for something need not ask for it."""

from __future__ import annotations

import select

import psycopg2

from market.kit import database

NEW_JOB = "market_new_job"


def tell(cursor: database.Cursor, channel: str) -> None:
    """Tell whoever listens, when the transaction commits."""
    cursor.execute("SELECT pg_notify(%s, '')", [channel])


class Listener:
    """Waits for news on a channel, over a connection of its own; for one thread."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._connection: database.Connection | None = None
        self._deaf = False  # a connection was lost, and none was made since

    def comes(self, within_s: float) -> bool:
        """Wait for news; tell whether there was some, at once if it came since the last call.

        The first call hears nothing of what was before it. False, and at once, while the server is away; the
        first call after that tells of news, for there may have been some that nobody heard.
        """
        try:
            if self._connection is None:
                self._connection = self._listen()
                if self._deaf:
                    self._deaf = False
                    return True
            connection = self._connection
            connection.poll()
            if not connection.notifies and _readable(connection, within_s):
                connection.poll()
            came = bool(connection.notifies)
            connection.notifies.clear()
        except psycopg2.Error:
            self._connection, self._deaf = None, True
            return False
        return came

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
