"""A time limit for a whole exchange: a server may answer byte by byte and never come to an end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def cut_after(seconds: float, line: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Shut a connection down when the time is over: whoever reads from it gets its end, or an OSError.

    `line` returns the socket, which may be another one by then (or none yet).
    """

    def cut() -> None:
        found = line()
        if found is not None:
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    limit = threading.Timer(seconds, cut)
    limit.daemon = True
    limit.start()
    try:
        yield
    finally:
        limit.cancel()
