"""Where the base address leads: strangers to the page that says what this is, members to the page Market."""

from __future__ import annotations

import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from market.airflow import logins
from market.airflow.tokens import COOKIE
from market.kit.errors import NotLoggedInError

log = logging.getLogger(__name__)

WELCOME = "/pluginsv2/market/welcome/"
MARKET = "/plugin/market"  # the entry Market in Airflow's menu


class Home:
    """Sends whoever opens `/` on; an administrator gets Airflow's own first page.

    Airflow answers every address that it does not know with its user interface, so no route of a plugin can
    be reached at `/`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            root = scope.get("root_path", "").rstrip("/")
            if scope["path"].removeprefix(root) in ("", "/"):
                token = Request(scope).cookies.get(COOKIE, "")
                if place := await run_in_threadpool(_place, token):
                    answer = RedirectResponse(root + place, 303, {"Cache-Control": "no-store"})
                    await answer(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def _place(token: str) -> str:
    """Return where the holder of a token goes; nothing if Airflow's own page is his."""
    try:
        return "" if logins.of_token(token.strip()).is_admin else MARKET
    except NotLoggedInError:
        return WELCOME
    except Exception:  # the page behind says what is wrong, in its own words
        log.exception("who opens the first page cannot be told")
        return ""
