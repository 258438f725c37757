"""One way to speak HTTP with the cluster's servers: every exchange has an end in time and in size.

A time limit on each read alone has no end: whoever sends a byte now and then holds a thread for years. So
what is limited is all the waiting for a server in one exchange, from its answer's first byte to its last.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from market.cluster import shares
from market.cluster.errors import ClusterUnavailable
from market.cluster.shares import Share
from market.cluster.tickets import Asker
from market.kit.text import parsed, parsed_storable

CONNECT_S = 3.0
_CHUNK = 1 << 16
_local = threading.local()


@dataclass(frozen=True)
class Bound:
    """What one exchange may take.

    `wait_s`: how long the server may be waited for in all, in seconds; a second more for each `bytes_per_s`
    that have arrived, if that is given. Time in which nobody reads does not count. `max_bytes`: the size of a
    body.
    """

    wait_s: float
    max_bytes: int
    bytes_per_s: int | None = None


ANSWER = Bound(wait_s=30, max_bytes=256 << 20)  # of the market's own servers; ten thousand nodes are 10 MiB


@dataclass(frozen=True)
class Answer:
    """An answer that was read whole."""

    server: str
    status_code: int
    content: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode(errors="replace")

    def json(self, cleaned: bool = True) -> Any:
        """Return the body's JSON with texts that can be stored: machines and programs wrote some of them.

        Not `cleaned`: with texts as they are. Raises ClusterUnavailable for what is no JSON.
        """
        try:
            return parsed_storable(self.content) if cleaned else parsed(self.content)
        except ValueError:
            raise ClusterUnavailable(f"{self.server} did not answer with JSON: {self.text[:200]}") from None


class Stream:
    """An answer whose body is read piece by piece; `close` it, or read it to its end."""

    def __init__(self, answer: requests.Response, bound: Bound, share: Share) -> None:
        self.status_code = answer.status_code
        self.server = _server(str(answer.url))
        self._answer, self._bound, self._share = answer, bound, share

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        with suppress(AttributeError):  # of one that never came to be
            self._answer.close()

    def chunks(self) -> Iterator[bytes]:
        """Yield the body.

        Raises ClusterUnavailable if the server breaks off, is too slow, or sends too much.
        """
        left = self._bound.max_bytes
        parts = self._answer.iter_content(_CHUNK)
        try:
            while True:
                with self._share.place():  # while it is waited for, not while somebody makes use of it
                    chunk = next(parts, b"")
                if not chunk:
                    return
                left -= len(chunk)
                if left < 0:
                    raise ClusterUnavailable(f"{self.server} sends more than {self._bound.max_bytes} bytes")
                yield chunk
        except requests.RequestException as error:
            raise ClusterUnavailable(f"{self.server} broke off ({type(error).__name__})") from error
        finally:
            self.close()

    def whole(self) -> Answer:
        """Read the body to its end. Raises ClusterUnavailable."""
        return Answer(self.server, self.status_code, b"".join(self.chunks()))


def send(method: str, url: str, bound: Bound = ANSWER, own_errors: bool = False, **options: Any) -> Answer:
    """Send a request and read the answer.

    Raises ClusterUnavailable when no server answers within the bound, or it answers 5xx. With `own_errors` a
    5xx answer is returned as well: WebHDFS reports some refusals so. `options` are those of `opened`.
    """
    answer = opened(method, url, bound, **options).whole()
    if answer.status_code >= 500 and not own_errors:
        raise ClusterUnavailable(f"{answer.server} answered {answer.status_code}: {answer.text[:200]}")
    return answer


def opened(
    method: str,
    url: str,
    bound: Bound = ANSWER,
    share: Share = shares.UNLIMITED,
    asker: Asker | None = None,
    **options: Any,
) -> Stream:
    """Send a request; return the answer with its body still to come. No redirect is followed.

    `share` says whose threads these are, `asker` who asks, where the address does not say it. Raises
    ClusterUnavailable when no server answers within the bound, or too many ask it now; `options` are those of
    `requests`.
    """
    if asker is not None:
        options = _proving(asker, url, options)
    with share.place():
        answer = _answer(method, url, bound, options)
    return Stream(answer, bound, share)


def _proving(asker: Asker, url: str, options: Mapping[str, Any]) -> dict[str, Any]:
    proof = asker.proof(url)
    return dict(options) | {
        "params": {**proof.parameters, **(options.get("params") or {})},
        "headers": {**proof.headers, **(options.get("headers") or {})},
    }


def _answer(method: str, url: str, bound: Bound, options: Mapping[str, Any]) -> requests.Response:
    if bound.wait_s <= 0:  # what others have left of a time that several exchanges share
        raise ClusterUnavailable(f"{_server(url)} was not asked: no time was left for it")
    _local.bound = bound  # the socket takes it over when the answer begins: see _Connection
    for last in (False, True):
        try:
            return _session().request(
                method, url, stream=True, allow_redirects=False, timeout=(CONNECT_S, bound.wait_s), **options
            )
        except requests.RequestException as error:
            # A server may close a connection that stood idle in the moment in which it is used again.
            if last or method != "GET" or not _was_closed(error):
                words = f"{_server(url)} does not answer ({type(error).__name__})"
                raise ClusterUnavailable(words) from error
    raise AssertionError("unreachable")


def _was_closed(error: requests.RequestException) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(cause, urllib3.exceptions.ProtocolError) and any(
        isinstance(word, RemoteDisconnected | ConnectionResetError) for word in cause.args
    )


def _session() -> requests.Session:
    """Return this thread's session.

    It keeps connections open, reads no proxy or .netrc settings, keeps no cookie, and wants nothing packed:
    a small body must not unfold into a large one.
    """
    current: requests.Session | None = getattr(_local, "session", None)
    if current is None:
        current = requests.Session()
        current.trust_env = False
        current.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        current.headers["Accept-Encoding"] = "identity"
        current.mount("http://", _Adapter(pool_maxsize=32))
        _local.session = current
    return current


class _Socket(socket.socket):
    """A socket that is waited for no longer than its exchange may take."""

    _bound = ANSWER
    _waited_s = 0.0
    _received = 0

    def begin(self, bound: Bound) -> None:
        """Begin to wait for an answer."""
        self._bound, self._waited_s, self._received = bound, 0.0, 0

    def recv_into(self, *arguments: Any) -> int:
        """Receive; raise TimeoutError when the exchange has made this thread wait for as long as it may."""
        rate = self._bound.bytes_per_s
        left_s = self._bound.wait_s + (self._received / rate if rate else 0) - self._waited_s
        if left_s <= 0:
            raise TimeoutError("the exchange takes too long")
        self.settimeout(left_s)
        began_s = time.monotonic()
        try:
            count = super().recv_into(*arguments)
        finally:
            self._waited_s += time.monotonic() - began_s
        self._received += count
        return count


class _Connection(HTTPConnection):
    """A connection that reads from a `_Socket`."""

    def _new_conn(self) -> socket.socket:
        plain = super()._new_conn()
        limited = _Socket(plain.family, plain.type, plain.proto, fileno=plain.detach())
        # The limit until now was that of connecting: a server may take longer for each piece of a body.
        limited.settimeout(_local.bound.wait_s)
        return limited

    def getresponse(self) -> Any:
        """Read the head of the answer, under the bound of the exchange that this thread began."""
        if isinstance(self.sock, _Socket):
            self.sock.begin(_local.bound)
        return super().getresponse()


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool}


def items(value: Any, *path: str) -> list[dict[str, Any]]:
    """Return the list at a path of a JSON answer.

    Hadoop writes one element as an object instead of a list, and none as null, {} or nothing.
    """
    for name in path:
        if not isinstance(value, Mapping):
            return []
        value = value.get(name)
    if isinstance(value, Mapping):
        return [dict(value)] if value else []
    return [dict(item) for item in value or [] if isinstance(item, Mapping)]


def _server(url: str) -> str:
    return url.split("/", 3)[2]
