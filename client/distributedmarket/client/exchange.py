"""One exchange over HTTP with an end in time and in size, whatever the other side sends.

A limit on each read alone has no end: whoever sends a byte now and then is waited for without one. Here a
timer shuts the connection, with or without TLS, when an answer has taken too long from its first byte on.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NameResolutionError, NewConnectionError, SSLError

from distributedmarket.client.trust import Trust, is_pinned

CONNECT_S = 10.0
MAX_BYTES = 64 << 20  # of an answer that is read whole
_CHUNK = 1 << 16
_local = threading.local()


def session(trust: Trust | None = None) -> requests.Session:
    """Return a session; it reads no proxy and no .netrc settings."""
    trust = trust or Trust()
    made = requests.Session()
    made.trust_env = False
    made.verify = False if trust.pin else trust.ca or True  # a pin is checked instead, see `_TlsConnection`
    made.mount("http://", _Adapter(""))
    made.mount("https://", _Adapter(trust.pin))
    return made


def send(
    using: requests.Session,
    method: str,
    url: str,
    wait_s: float,
    *,
    stream: bool = False,
    connect_s: float = CONNECT_S,
    max_bytes: int = MAX_BYTES,
    **options: Any,
) -> requests.Response:
    """Return the answer, read whole unless it is a `stream`. Raises requests.RequestException.

    `wait_s` is how long the other side may be silent, and how long all of its answer may take; of a stream,
    its head. Sending has no such limit: a file may be large.
    """
    limit = _local.limit = _Limit(wait_s)
    try:
        answer = using.request(method, url, stream=True, timeout=(connect_s, wait_s), **options)
        if not stream:
            # What `requests` would do itself, without a bound.
            answer._content = _whole(answer, max_bytes)
        if limit.is_over:  # what was cut may look whole
            answer.close()
            raise requests.exceptions.ReadTimeout("the answer takes too long")
        return answer
    finally:
        limit.end()
        _local.limit = None


def is_distrust(error: requests.RequestException) -> bool:
    """Tell whether a request was not sent because the other side could not prove who it is."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    cause = reason.args[0] if isinstance(reason, SSLError) and reason.args else None
    return isinstance(reason, _WrongKeyError) or isinstance(cause, ssl.SSLCertVerificationError)


def why_silent(error: requests.RequestException) -> str:
    """Return in words why nobody has answered, with a remedy where there is one; nothing that was sent."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, NameResolutionError):
        return "its host's name is not known; check the address"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_S:.0f} s; check the address, and the network"
    if isinstance(reason, NewConnectionError):
        return "nobody listens there; check the address, and whether the market runs"
    if isinstance(error, requests.Timeout):
        return "it takes too long; try again"
    if isinstance(error, requests.exceptions.SSLError):
        return "it does not speak TLS as it should; check the address"
    return "the connection broke off; try again"


def _whole(answer: requests.Response, max_bytes: int) -> bytes:
    with answer:
        body = bytearray()
        for chunk in answer.iter_content(_CHUNK):
            body += chunk
            if len(body) > max_bytes:
                raise requests.exceptions.ContentDecodingError(f"the answer has more than {max_bytes} bytes")
        return bytes(body)


class _Limit:
    """Shuts a connection when an answer takes too long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: threading.Timer | None = None
        self.is_over = False

    def begin(self, connection: Any) -> None:
        """Begin to count: the answer may come."""
        self._timer = threading.Timer(self._seconds, self._shut, [connection])
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """Stop counting."""
        if self._timer is not None:
            self._timer.cancel()

    def _shut(self, connection: Any) -> None:
        self.is_over = True
        with suppress(OSError, AttributeError):  # it has ended meanwhile
            connection.shutdown(socket.SHUT_RDWR)


class _Counted:
    """A connection that begins to count with its answer."""

    def getresponse(self) -> Any:
        limit = getattr(_local, "limit", None)
        if limit is not None:
            limit.begin(self.sock)  # type: ignore[attr-defined]
        return super().getresponse()  # type: ignore[misc]


class _Connection(_Counted, HTTPConnection):
    pass


class _WrongKeyError(SSLError):
    """The other side has not the key that was pinned."""


class _TlsConnection(_Counted, HTTPSConnection):
    """Over TLS. With a pin it is ended before anything is sent, unless the other side has that key."""

    pin = ""

    def connect(self) -> None:
        """Connect, and see whom to."""
        super().connect()
        if self.pin:
            shown = self.sock.getpeercert(binary_form=True)  # type: ignore[union-attr]
            if not shown or not is_pinned(shown, self.pin):
                self.close()
                raise _WrongKeyError("the key is not the one that was pinned")
            self.is_verified = True


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _Adapter(HTTPAdapter):
    def __init__(self, pin: str) -> None:
        self._pin = pin
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        connection = type("_PinnedConnection", (_TlsConnection,), {"pin": self._pin})
        pool = type("_TlsPool", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": connection})
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": pool}
