"""Errors as RFC 9457 problem documents: the one place where what went wrong becomes an answer."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus

import psycopg2
import sqlalchemy.exc
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from market.kit import audit
from market.kit.errors import MarketError, NotLoggedInError, RoleMissingError, UnavailableError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


def problem(
    status: int,
    title: str,
    detail: str,
    members: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem document; `type` is about:blank, so `title` says what kind of problem it is."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(members or {})}
    return Response(json.dumps(body), status, dict(headers or {}), MEDIA_TYPE)


def of_error(error: MarketError) -> Response:
    """Return the answer to an error of the market."""
    headers = dict(error.headers)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(json.dumps(error.document), error.status, headers, MEDIA_TYPE)


def noted(request: Request, error: MarketError) -> Response:
    """Return the answer to an error; who tried a token, or lacks a role, gets a line in the audit.

    Passwords are noted where they are checked.
    """
    tried = "Authorization" in request.headers
    if isinstance(error, RoleMissingError) or (tried and isinstance(error, NotLoggedInError)):
        member = getattr(request.state, "market_member", None)
        who = member.username if member else request.client.host if request.client else "unknown"
        audit.refusal(who, f"{request.method} {request.url.path}", f"{error.status}: {error.detail}")
    return of_error(error)


def register(app: FastAPI) -> None:
    """Answer every kind of error with a problem document."""

    @app.exception_handler(MarketError)
    def market_error(request: Request, error: MarketError) -> Response:
        return noted(request, error)

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        title = HTTPStatus(error.status_code).phrase
        return problem(error.status_code, title, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = {str(fault["loc"][-1]): [fault["msg"]] for fault in error.errors()}
        return problem(422, "Invalid input", "; ".join(map(_line, errors.items())), {"errors": errors})

    # The market's own tables, and those of Airflow, by which a caller is known.
    @app.exception_handler(psycopg2.OperationalError)
    @app.exception_handler(psycopg2.InterfaceError)
    @app.exception_handler(sqlalchemy.exc.OperationalError)
    @app.exception_handler(sqlalchemy.exc.InterfaceError)
    def database_away(request: Request, error: Exception) -> Response:
        log.error("the database does not answer: %s", error)
        return of_error(UnavailableError("The database does not answer. Try again in a minute."))


def _line(item: tuple[str, list[str]]) -> str:
    return f"{item[0]}: {' '.join(item[1])}"


class Shield:
    """Outermost layer: headers that every answer has, and an answer where nothing else made one.

    What nobody foresaw becomes a 500 with a number that is also in the log, beside the traceback.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*_HEADERS, *message["headers"]]
            await send(message)

        try:
            await self._app(scope, receive, with_headers)
        except Exception:
            incident = secrets.token_hex(4)
            log.exception("incident %s: %s %s failed", incident, scope["method"], scope["path"])
            if started:  # the client must see that the answer is cut off
                raise
            detail = f"The fault is ours. It is in the log of the api-server as incident {incident}."
            await problem(500, "Internal error", detail)(scope, receive, with_headers)


_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
