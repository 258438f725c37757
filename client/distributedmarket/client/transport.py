"""One request and its answer: time limits, attempts, a new login when the token has expired."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from distributedmarket.client import exchange, retries
from distributedmarket.client.body import Body
from distributedmarket.client.errors import (
    BrokenOffError,
    MarketApiError,
    MarketClientError,
    NotTrustedError,
    UnreachableError,
)
from distributedmarket.client.login import Login
from distributedmarket.client.retries import Retries
from distributedmarket.client.trust import Trust

READ_S = 60.0
KEY = "Idempotency-Key"
_UNAUTHORIZED = 401
_WITHOUT_BODY = frozenset({204, 304})


@dataclass
class Request:
    """What is sent. `key`: the value of `Idempotency-Key`; `read_s`: how long the market may be silent.

    An answer that is no stream must be there by then, whole.
    """

    method: str
    path: str
    query: Mapping[str, Any]
    body: Body
    headers: Mapping[str, str]
    key: str = ""
    stream: bool = False
    read_s: float = READ_S

    @property
    def repeatable(self) -> bool:
        """Tell whether it does no harm a second time, whatever became of the first."""
        return self.method in retries.REPEATABLE or bool(self.key)


class Transport:
    """Sends requests to the market at an address; each thread that uses it has connections of its own.

    Raises MarketClientError for an address to which nothing secret may be sent.
    """

    def __init__(self, url: str, trust: Trust | None = None) -> None:
        self.url = url.rstrip("/")
        self.trust = trust or Trust()
        self.trust.check(self.url)
        parts = urlsplit(self.url)
        self._shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"  # without a password
        self._local = threading.local()

    def send(self, request: Request, login: Login, attempts: Retries) -> requests.Response:
        """Return the answer, which may be a refusal. Raises UnreachableError, NotRepeatableError."""
        attempt, renewed = 0, False
        while True:
            attempt += 1
            token = login.token
            try:
                answer = self._with_an_end(request, token)
            except UnreachableError as error:
                wait_s = attempts.wait_s(attempt)
                if wait_s is None or (error.sent and not request.repeatable):
                    raise
                if not request.body.repeatable:
                    raise request.body.refuse(str(error)) from None
            else:
                if answer.status_code == _UNAUTHORIZED and token and not renewed and request.body.repeatable:
                    renewed = True
                    if login.renewed(token):
                        answer.close()
                        attempt -= 1  # being logged out is no failed attempt
                        continue
                retry_after = retries.retry_after_s(answer.headers)
                wait_s = attempts.wait_s(attempt, retry_after)
                if (
                    wait_s is None
                    or not request.body.repeatable
                    or not retries.may_repeat_answer(answer.status_code, request.repeatable)
                ):
                    return answer
                answer.close()
            time.sleep(wait_s)

    def broke_off(self, request: Request) -> BrokenOffError:
        """Return the error for an answer that ended too early."""
        return BrokenOffError(f"the market at {self._shown} broke off while it sent {request.path}")

    def no_market(self, request: Request) -> MarketClientError:
        """Return the error for an answer that no market gives."""
        return MarketClientError(f"what answers at {self._shown} is no market: {request.path} gave no JSON")

    def _with_an_end(self, request: Request, token: str) -> requests.Response:
        """Send once. Raises UnreachableError also for an answer that does not say where it ends.

        All of the market's do. To Python a head that was cut between two lines is whole, and an answer that
        has no length ends with it: a file would be empty, and a list.
        """
        answer = self._once(request, token)
        if answer.status_code in _WITHOUT_BODY or _says_its_end(answer.headers):
            return answer
        answer.close()
        raise UnreachableError(f"the market at {self._shown} broke off its answer", sent=True)

    def _once(self, request: Request, token: str) -> requests.Response:
        headers = dict(request.headers)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if request.key:
            headers[KEY] = request.key
        try:
            return exchange.send(
                self._session(),
                request.method,
                self.url + request.path,
                request.read_s,
                stream=request.stream,
                params=dict(request.query),
                data=request.body.again(),
                headers=headers,
                allow_redirects=False,  # a market sends nobody, and no password, elsewhere
            )
        except requests.RequestException as error:
            if exchange.is_distrust(error):
                raise NotTrustedError(self._distrust()) from None
            # Never with the words of the error: they may repeat what was sent.
            message = f"the market at {self._shown} does not answer: {exchange.why_silent(error)}"
            raise UnreachableError(message, sent=retries.was_sent(error)) from None

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = exchange.session(self.trust)
        return session

    def _distrust(self) -> str:
        shown = "another key than the one that was pinned" if self.trust.pin else "no certificate to trust"
        return (
            f"what answers at {self._shown} shows {shown}; nothing was sent. Ask its operator for the "
            "fingerprint (./market up prints it), and give it with --pin"
        )


def _says_its_end(headers: Mapping[str, str]) -> bool:
    """Tell whether a head has its answer's length, or says that it comes in chunks: the whole of it."""
    length, encoding = headers.get("Content-Length", ""), headers.get("Transfer-Encoding", "")
    return length.strip().isdecimal() or encoding.strip().lower() == "chunked"


def refusal(request: Request, answer: requests.Response) -> MarketApiError:
    """Return an answer that is a refusal as an error."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):  # not from the market: from something between
        problem = {"status": answer.status_code, "title": answer.reason or "no reason given"}
    return MarketApiError(
        request.method, request.path, answer.status_code, problem, retries.retry_after_s(answer.headers)
    )
