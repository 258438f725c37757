"""A proxy for TCP that cuts a connection in the middle, after some bytes in both directions together."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_CHUNK = 1 << 12


class CuttingProxy:
    """Passes bytes on; `arm(n)` cuts the connection that carries the n-th byte from then on."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (str(parts.hostname), int(parts.port or 80))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0
        self._left: int | None = None
        self._lock = threading.Lock()

    def arm(self, count: int) -> None:
        with self._lock:
            self._left = count

    def disarm(self) -> None:
        with self._lock:
            self._left = None

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed: the end
                return
            server = socket.create_connection(self._target)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                allowed = self._allowed(len(chunk))
                sink.sendall(chunk[:allowed])
                if allowed < len(chunk):
                    break
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _allowed(self, count: int) -> int:
        """Return how many of these bytes go on; fewer than all once for each time that it was armed."""
        with self._lock:
            if self._left is None or self._left >= count:
                self._left = None if self._left is None else self._left - count
                return count
            allowed, self._left = self._left, None
            self.cuts += 1
            return allowed


@contextmanager
def cutting_proxy(target: str) -> Iterator[CuttingProxy]:
    """Serve one before an address; close it in the end."""
    proxy = CuttingProxy(target)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(10)
