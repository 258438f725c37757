"""Where a request comes from, for whatever counts what one party does: see people/limits.py."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from market.people import limits


class Calling:
    """Notes the network address of each request, also for Airflow's own pages and routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            client = scope.get("client")
            limits.caller.set(client[0] if client else "")
        await self._app(scope, receive, send)
