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

    def comes(self, within_s: float) -> bool:
        """Wait for news; tell whether there was some, at once if it came since the last call.

        The first call hears nothing of what was before it. False, and at once, while the server is away.
        """
        try:
            connection = self._connection or self._listen()
            connection.poll()
            if not connection.notifies and select.select([connection], [], [], within_s)[0]:
                connection.poll()
            came = bool(connection.notifies)
            connection.notifies.clear()
        except psycopg2.Error:
            self._connection = None
            return False
        return came

    def _listen(self) -> database.Connection:
        connection = database.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {self._channel}")
        self._connection = connection
        return connection
