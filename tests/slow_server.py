"""Servers on loopback that do what no honest one does: a thread for each connection, bytes as a test says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

Serve = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def serving(serve: Serve, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve each connection with a function that is called with it; yield host:port."""
    listener = socket.create_server((host, 0))
    open_ones: list[socket.socket] = []

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_ones.append(connection)
                threading.Thread(target=one, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield "{}:{}".format(*listener.getsockname())
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in open_ones:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def request(connection: socket.socket) -> str:
    """Read a request without a body; return its first line. Raises OSError when the client has gone."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(1 << 16)
        if not part:
            raise OSError("gone")
        head += part
    return head.decode().splitlines()[0]


def whole(body: bytes, head: bytes = OK) -> bytes:
    """Return an answer with a length."""
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def drips(text: bytes, pause_s: float, first: bytes = b"") -> Serve:
    """Answer with some bytes at once, and then a byte every now and then, over and over."""

    def serve(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(first)
        while True:
            for byte in text:
                connection.sendall(bytes([byte]))
                time.sleep(pause_s)

    return serve


def sends(parts: Iterable[bytes], pause_s: float = 0.0) -> Serve:
    """Answer with parts, one after the other, and close."""

    def serve(connection: socket.socket) -> None:
        request(connection)
        for part in parts:
            connection.sendall(part)
            time.sleep(pause_s)

    return serve
