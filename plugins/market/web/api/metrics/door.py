"""The address for Prometheus, before the routes: it is no member's, and its token opens nothing else."""

from __future__ import annotations

import hmac

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.routing import get_route_path
from starlette.types import ASGIApp, Receive, Scope, Send

from market.kit import settings
from market.kit.errors import NotLoggedInError
from market.web.api.metrics.collector import collected
from market.web.api.metrics.exposition import CONTENT_TYPE
from market.web.api.problems import of_error

PATH = "/metrics"
_METHODS = ("GET", "HEAD")


class MetricsDoor:
    """Answers GET at its address to whoever has the token, and hands everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or get_route_path(scope) != PATH or scope["method"] not in _METHODS:
            await self._app(scope, receive, send)
            return
        answer = await run_in_threadpool(_answer, Headers(scope=scope))
        await answer(scope, receive, send)


def _answer(headers: Headers) -> Response:
    kind, _, token = headers.get("Authorization", "").partition(" ")
    known = settings.load().secret(settings.METRICS_TOKEN)
    if kind.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), known.encode()):
        refusal = NotLoggedInError(
            "This address takes the secret metrics_token: Authorization: Bearer TOKEN."
        )
        return of_error(refusal)
    return PlainTextResponse(collected(), media_type=CONTENT_TYPE)
