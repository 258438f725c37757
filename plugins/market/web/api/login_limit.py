"""The limit on Airflow's own ways to log in: its tokens, its form, Flask-AppBuilder's security API.

Airflow limits at most the form, and by address only. `POST /market/api/v1/login` counts in the same buckets.
"""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from market.kit.errors import MarketError, TooLargeError
from market.people import limits
from market.web.api.problems import of_error

_LOGINS = re.compile(r"/(auth/token(/cli)?|auth/login|pluginsv2/login|api/v1/security/login)/?$")
_MAX_BODY = 64 * 1024


class LoginLimit:
    """Counts attempts to log in before they reach Airflow."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; only logins are looked at."""
        if scope["type"] != "http" or scope["method"] != "POST" or not _LOGINS.search(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            body = await _read(receive)
            client = scope.get("client")
            await run_in_threadpool(limits.login_attempt, client[0] if client else "", username(body))
        except MarketError as error:
            await of_error(error)(scope, receive, send)
            return
        await self._app(scope, _replayed(body, receive), send)


def username(body: bytes) -> str:
    """Return the name in a login's body, JSON or form; empty if there is none."""
    try:
        login = json.loads(body)
        name = login.get("username") if isinstance(login, dict) else None
    except ValueError:
        name = parse_qs(body.decode(errors="replace")).get("username", [""])[0]
    return name if isinstance(name, str) else ""


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MAX_BODY:
            raise TooLargeError("A login is smaller than this.")
        if not message.get("more_body"):
            return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
