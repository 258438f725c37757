"""Requests that no route takes: another address, another method, or a sign that no address holds."""

from __future__ import annotations

import unicodedata
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from market.kit.errors import BadInputError, MarketError, NotFoundError
from market.web.api import caller
from market.web.api.problems import of_error, problem

_OF_FILES = ("/files/", "/results/")


def register(app: FastAPI) -> None:
    """Answer requests that no route takes; who is not logged in learns nothing but that."""

    @app.exception_handler(404)
    def nowhere(request: Request, error: HTTPException) -> Response:
        return _not_known(request) or of_error(NotFoundError("There is nothing at this address."))

    @app.exception_handler(405)
    def other_method(request: Request, error: HTTPException) -> Response:
        routes = [route for route in app.routes if route.matches(request.scope)[0] != Match.NONE]
        public = any((getattr(route, "openapi_extra", None) or {}).get("public") for route in routes)
        if not public and (refused := _not_known(request)):
            return refused
        methods = {name for route in routes if isinstance(route, Route) for name in route.methods or ()}
        return problem(
            405,
            HTTPStatus(405).phrase,
            "This address does not take this method; the header Allow names those that it takes.",
            headers={"Allow": ", ".join(sorted(methods))},
        )


class PlainPaths:
    """Refuses addresses with a control character, before anything matches them.

    A line end would pass the patterns of the routes, or miss those of the applications around the market's.
    """

    def __init__(self, app: ASGIApp, within: str = "") -> None:
        self._app, self._within = app, within

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"].startswith(self._within) and _has_control(scope["path"]):
            await (await run_in_threadpool(_refusal, Request(scope)))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _has_control(path: str) -> bool:
    return not path.isprintable() and any(unicodedata.category(letter) == "Cc" for letter in path)


def _not_known(request: Request) -> Response | None:
    """Return the answer to who is not logged in, None to who is."""
    try:
        caller.known(request)
    except MarketError as error:
        return of_error(error)
    return None


def _refusal(request: Request) -> Response:
    if refused := _not_known(request):
        return refused
    if any(part in request.scope["path"] for part in _OF_FILES):
        return of_error(BadInputError({"path": ["A path holds no control character."]}))
    return of_error(NotFoundError("There is nothing at this address."))
