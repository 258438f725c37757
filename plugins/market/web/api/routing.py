"""What the routes are made with: a described router, bodies as JSON, ids and pages from the address."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from marshmallow import Schema
from starlette.concurrency import run_in_threadpool

from market.kit import database
from market.kit.errors import BadInputError, MarketError, NotFoundError, TooLargeError
from market.kit.paging import Listing, Page
from market.kit.wire import loaded
from market.web.api import caller, idempotency, problems

_MAX_BODY = 1 << 20
_HEX_ID = re.compile(r"[0-9a-f]{32}")
_MAX_LIMIT = 200
_MAX_OFFSET = 10**9
_PART = {"limit": "1 to 200, by default all rows", "offset": "rows to skip"}

SchemaType = type[Schema]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class MarketRoute(APIRoute):
    """A route whose POSTs may carry an `Idempotency-Key`, if they are for logged-in people."""

    def get_route_handler(self) -> Handler:
        """Return what serves a request."""
        serve = super().get_route_handler()
        extra = self.openapi_extra or {}
        takes_key = "POST" in self.methods and extra.get("keyed", not extra.get("public"))

        async def keyed(request: Request) -> Response:
            key = request.headers.get(idempotency.HEADER)
            if not takes_key or key is None:
                return await serve(request)
            member = await run_in_threadpool(caller.current, request)
            body = await read_body(request)
            identity = request.state.identity = idempotency.RequestIdentity.of(
                member.user_id, request, key, body
            )
            return await idempotency.answer(identity, lambda: _turned(serve, request))

        return keyed


async def _turned(serve: Handler, request: Request) -> Response:
    """Serve with errors of the market as answers, so that they can be kept like any other."""
    try:
        return await serve(request)
    except MarketError as error:
        return problems.of_error(error)


def router() -> APIRouter:
    """Return a router for a group of routes."""
    return APIRouter(route_class=MarketRoute)


def described(
    takes: SchemaType | str | None = None,
    gives: SchemaType | str | None = None,
    plural: str = "",
    refuses: Sequence[int] = (),
    public: bool = False,
    query: Mapping[str, str] | None = None,
    whole: bool = False,
    keyed: bool = True,
    deprecated: bool = False,
) -> dict[str, Any]:
    """Return what a route adds to the OpenAPI document, for its `openapi_extra`.

    `takes` and `gives` are schemas, or media types for bytes; with `plural` it gives a list under this name.
    `whole`: its answer holds a list, of which `part` takes rows. A POST that is not `keyed` takes no
    `Idempotency-Key`: it changes nothing that may not be changed twice.
    """
    return {
        "takes": takes,
        "gives": gives,
        "plural": plural,
        "refuses": tuple(refuses),
        "public": public,
        "keyed": keyed and not public,
        "deprecated": deprecated,
        "query": dict(query or {}) | (_PART if whole else {}),
    }


async def read_body(request: Request) -> bytes:
    """Return a request's body; again: the same bytes. Raises TooLargeError above 1 MiB."""
    kept: bytes | None = getattr(request, "_body", None)
    if kept is None:
        kept = b""
        async for chunk in request.stream():
            kept += chunk
            if len(kept) > _MAX_BODY:
                raise TooLargeError(f"A body may have {_MAX_BODY} bytes; upload files with PUT /files/PATH.")
        request._body = kept
    return kept


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in a body; an empty body is an empty object. Raises BadInputError."""
    raw = await read_body(request)
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
        if not isinstance(body, dict):
            raise BadInputError({"body": ["must be a JSON object"]})
        errors = {
            name: ["holds a character that cannot be stored"] for name in body if _unstorable(body[name])
        }
    except (ValueError, RecursionError):
        raise BadInputError({"body": ["is not valid JSON, or nested too deeply"]}) from None
    if errors or any(_unstorable(name) for name in body):
        raise BadInputError(errors or {"body": ["holds a name that cannot be stored"]})
    return body


def _unstorable(value: object) -> bool:
    """Tell whether it holds a NUL or half of a surrogate pair, which no column and no program takes."""
    if isinstance(value, str):
        return "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, dict):
        return any(_unstorable(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(map(_unstorable, value))


def answering(request: Request, schema: SchemaType, status: int) -> database.Answering:
    """Return what stores the answer to a request with an `Idempotency-Key` in its own transaction."""

    def store(cursor: database.Cursor, answer: Mapping[str, Any]) -> None:
        identity: idempotency.RequestIdentity | None = getattr(request.state, "identity", None)
        if identity is not None:
            idempotency.store(cursor, identity, JSONResponse(dumped(schema, answer), status))

    return store


Json = Annotated[dict[str, Any], Depends(json_object)]


def body(schema: SchemaType) -> Any:
    """Return the dependency that loads a body with a schema."""

    async def load(request: Request) -> dict[str, Any]:
        return loaded(schema(), await json_object(request))

    return Depends(load)


def _identity(what: str, name: str) -> Any:
    def check(request: Request) -> str:
        given = str(request.path_params[name])
        if not _HEX_ID.fullmatch(given):
            raise NotFoundError(f"There is no such {what}.")
        return given

    return Depends(check)


JobId = Annotated[str, _identity("job", "job_id")]
MachineId = Annotated[str, _identity("machine", "machine_id")]
UserId = Annotated[str, _identity("user", "user_id")]
FilePath = Annotated[str, Path()]


def number(request: Request, name: str, default: int | None, lowest: int, highest: int) -> int | None:
    """Return a whole number of the query. Raises BadInputError."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and lowest <= int(text) <= highest):
        raise BadInputError({name: [f"must be a whole number from {lowest} to {highest}"]})
    return int(text)


def flag(request: Request, name: str) -> bool:
    """Return a yes or no of the query. Raises BadInputError."""
    text = request.query_params.get(name, "false").lower()
    if text not in ("true", "false"):
        raise BadInputError({name: ["must be true or false"]})
    return text == "true"


def choice(request: Request, name: str, choices: Sequence[str]) -> str:
    """Return one of the choices that the query names, by default the first. Raises BadInputError."""
    text = request.query_params.get(name, choices[0])
    if text not in choices:
        raise BadInputError({name: [f"must be one of: {', '.join(choices)}"]})
    return text


def page(*order_by: str) -> Any:
    """Return the dependency that reads `limit`, `offset`, and `order_by`: one of these, with - descending."""

    def read(request: Request) -> Page:
        order = request.query_params.get("order_by", "")
        field = order.removeprefix("-")
        if order and field not in order_by:
            raise BadInputError(
                {"order_by": [f"must be one of: {', '.join(order_by)}, or one of them after -"]}
            )
        return Page(
            limit=number(request, "limit", Page.limit, 1, _MAX_LIMIT) or Page.limit,
            offset=number(request, "offset", 0, 0, _MAX_OFFSET) or 0,
            order_by=field,
            descending=not order or order.startswith("-"),
        )

    return Depends(read)


def part(request: Request, plural: str, rows: Sequence[object]) -> dict[str, Any]:
    """Return `{<plural>: [...], "total": n}` of a list that is whole unless `limit` or `offset` is given.

    Raises BadInputError.
    """
    limit = number(request, "limit", None, 1, _MAX_LIMIT)
    offset = number(request, "offset", 0, 0, _MAX_OFFSET) or 0
    shown = rows[offset : None if limit is None else offset + limit]
    return {plural: shown, "total": len(rows)}


def dumped(schema: SchemaType, value: object) -> dict[str, Any]:
    """Return an answer in the form of its schema."""
    answer: dict[str, Any] = schema().dump(value)
    return answer


def listed(plural: str, schema: SchemaType, listing: Listing[Any]) -> dict[str, Any]:
    """Return a page of a list: `{<plural>: [...], "total": n}`."""
    return {plural: schema(many=True).dump(listing.rows), "total": listing.total}
