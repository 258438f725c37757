"""The bodies of all requests, bounded before anything reads them: in time since the last byte, in size."""

from __future__ import annotations

import re

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from market.kit.errors import MarketError, TooLargeError
from market.web.api.problems import of_error

SILENCE_S = 60.0
# What Airflow's pages and routes, which read a body whole, take at most. Uploads have a limit of their own.
MOST_BYTES = 32 << 20
_UPLOADS = re.compile(r"/market/api/v1/files/")


class BrokenOffError(MarketError):
    """A body that stopped in its middle."""

    status = 408
    title = "Request timeout"


class Bodies:
    """Ends a request whose body does not go on for a minute, or is larger than any that is read whole.

    The time is since the last byte: a slow one may take as long as it needs.
    """

    def __init__(self, app: ASGIApp, silence_s: float = SILENCE_S, most_bytes: int = MOST_BYTES) -> None:
        self._app, self._silence_s, self._most_bytes = app, silence_s, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = None if scope["method"] == "PUT" and _UPLOADS.match(scope["path"]) else self._most_bytes
        body = _Body(receive, self._silence_s, most)
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if body.problem and not started:
                return  # whatever reads the body may say something else of its end, or nothing
            started = True
            await send(message)

        try:
            await self._app(scope, body.receive, answer)
        except Exception:
            if body.problem is None:
                raise
        if body.problem and not started:
            response = of_error(body.problem)
            response.headers["Connection"] = "close"
            await response(scope, receive, send)


class _Body:
    """What is received of a request; `problem` is why it was ended."""

    def __init__(self, receive: Receive, silence_s: float, most_bytes: int | None) -> None:
        self.problem: MarketError | None = None
        self._receive, self._silence_s, self._most_bytes = receive, silence_s, most_bytes
        self._bytes = 0
        self._ended = False

    async def receive(self) -> Message:
        """Return the next part. Raises BrokenOffError, TooLargeError."""
        if self.problem:
            raise self.problem
        if self._ended:  # only the client's going away is waited for
            return await self._receive()
        try:
            with anyio.fail_after(self._silence_s):
                message = await self._receive()
        except TimeoutError:
            self.problem = BrokenOffError(f"Nothing came for {self._silence_s:g} s. Send it again.")
            raise self.problem from None
        self._ended = not message.get("more_body", False)
        self._bytes += len(message.get("body", b""))
        if self._most_bytes is not None and self._bytes > self._most_bytes:
            self.problem = TooLargeError(f"A body may have {self._most_bytes} bytes here.")
            raise self.problem
        return message
