"""The one way out of the sandbox in which packages are fetched: to their index, and to where its files lie.

uv runs in a network of its own, in which nobody is. It is told of a proxy, whose socket is made in there and
handed out: so what it asks for is looked at here, and nothing else of the network can be reached.
"""

from __future__ import annotations

import base64
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

# Run in the sandbox by the jobs' Python: makes the socket, hands it out, and becomes the command.
DOOR = """
import os, socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
door = socket.create_server(("127.0.0.1", 0))
socket.send_fds(channel, [b"-"], [door.fileno()])
address = "http://127.0.0.1:%d" % door.getsockname()[1]
for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ[name] = os.environ[name.lower()] = address
channel.close()
door.close()
os.execv(sys.argv[2], sys.argv[2:])
"""
_AT_ONCE = 64
_HEAD_BYTES = 16 << 10
_CHUNK = 1 << 16
_CONNECT_S = 20.0
_IDLE_S = 60.0
_DOOR_S = 20.0
_PORTS = {"http": 80, "https": 443}
_REQUEST = re.compile(rb"(CONNECT|GET|HEAD) (\S+) HTTP/1\.[01]")


class RefusedError(Exception):
    """What is asked for is not open; its words go into the log of the packages."""


@dataclass(frozen=True)
class Place:
    """A host and a port, as they are asked for."""

    host: str
    port: int


class IndexProxy:
    """Serves what comes to one socket, until it is closed."""

    def __init__(self, *urls: str) -> None:
        """`urls`: of whose hosts and ports anything may be asked."""
        self._open = {_place(url) for url in urls}
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    @contextmanager
    def channel(self) -> Iterator[socket.socket]:
        """Yield the end of a channel that DOOR hands its socket through; serve that in the meantime."""
        own, theirs = socket.socketpair()
        serving = threading.Thread(target=self._serve, args=[own], name="index-proxy", daemon=True)
        serving.start()
        try:
            yield theirs
        finally:
            for end in (theirs, own):
                end.close()
            serving.join(_DOOR_S)

    def _serve(self, channel: socket.socket) -> None:
        channel.settimeout(_DOOR_S)
        try:
            _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
            door = socket.socket(fileno=descriptors[0])
        except (OSError, IndexError):
            return  # the sandbox did not come so far: its command says why
        with door:
            door.settimeout(0.2)
            while channel.fileno() >= 0:
                try:
                    line, _ = door.accept()
                except TimeoutError:
                    continue
                except OSError:
                    return
                threading.Thread(target=self._one, args=[line], daemon=True).start()

    def _one(self, line: socket.socket) -> None:
        with line, self._places:
            line.settimeout(_IDLE_S)
            try:
                self._answer(line)
            except RefusedError as refused:
                _refuse(line, "403 Forbidden", str(refused))
            except OSError as error:
                _refuse(line, "502 Bad Gateway", str(error))

    def _answer(self, line: socket.socket) -> None:
        head, rest = _head(line)
        first, _, lines = head.partition(b"\r\n")
        asked = _REQUEST.fullmatch(first)
        if asked is None:
            raise RefusedError("only GET, HEAD and CONNECT are open here")
        method, target = asked[1], asked[2].decode("ascii", "replace")
        place = _place(f"//{target}" if method == b"CONNECT" else target)
        if method == b"CONNECT":
            with self._connected(place, "https") as out:
                line.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                out.sendall(rest)
                _exchange(line, out)
            return
        # One request for each connection: the next one may be for another place.
        kept = [
            one for one in lines.split(b"\r\n") if not one.lower().startswith((b"connection:", b"proxy-"))
        ]
        with self._connected(place, "http") as out:
            path = urlsplit(target)._replace(scheme="", netloc="").geturl() or "/"
            start = f"{method.decode()} {path} HTTP/1.1".encode()
            out.sendall(b"\r\n".join([start, *kept, b"Connection: close", b"", b""]))
            _exchange(line, out)

    def _connected(self, place: Place, scheme: str) -> socket.socket:
        """Return a connection to a place that is open; through the operator's own proxy, if he has one."""
        if place not in self._open:
            raise RefusedError(f"{place.host}:{place.port} is not where packages come from")
        proxies = getproxies_environment()
        proxy = proxies.get(scheme)
        if proxy and not proxy_bypass(place.host, proxies):
            return _through(proxy, place)
        out = socket.create_connection((place.host, place.port), timeout=_CONNECT_S)
        out.settimeout(_IDLE_S)
        return out


def _refuse(line: socket.socket, status: str, words: str) -> None:
    body = words.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with suppress(OSError):
        line.sendall(head.encode() + body)


def _place(url: str) -> Place:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        raise RefusedError("this address cannot be read") from None
    if not parts.hostname or port is None:
        raise RefusedError("this address has no host, or no port")
    return Place(parts.hostname, port)


def _through(proxy: str, place: Place) -> socket.socket:
    """Return a connection through a proxy. Raises OSError."""
    parts = urlsplit(proxy)
    out = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=_CONNECT_S)
    try:
        out.settimeout(_IDLE_S)
        name = f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"
        words = f"CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n"
        if parts.username:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            words += f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}\r\n"
        out.sendall(f"{words}\r\n".encode())
        head, _ = _head(out)
        if b" 200 " not in head.partition(b"\r\n")[0] + b" ":
            raise OSError("the proxy refused")
    except BaseException:
        out.close()
        raise
    return out


def _head(line: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of a message without its empty line, and what came behind it. Raises OSError."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = line.recv(_CHUNK)
        if not more or len(got) > _HEAD_BYTES:
            raise OSError("no whole head came")
        got += more
    head, _, rest = got.partition(b"\r\n\r\n")
    return head, rest


def _exchange(one: socket.socket, other: socket.socket) -> None:
    """Hand on what comes from each to the other, until one has ended."""

    def back() -> None:
        _hand_on(one, other)

    thread = threading.Thread(target=back, daemon=True)
    thread.start()
    _hand_on(other, one)
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    thread.join(_IDLE_S)


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
