"""What the routes are made with: a described router, bodies as JSON, ids and pages from the address."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.routing import APIRoute
from marshmallow import Schema
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from market.kit import database
from market.kit.errors import BadInputError, MarketError, NotFoundError, TooLargeError
from market.kit.paging import Listing
from market.kit.text import is_storable, parsed
from market.kit.wire import loaded
from market.web.api import caller, idempotency, problems, query, scopes
from market.web.api.bodies import BrokenOffError

_MAX_BODY = 1 << 20
_HEX_ID = re.compile(r"[0-9a-f]{32}")

SchemaType = type[Schema]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class MarketRoute(APIRoute):
    """A route whose POSTs may carry an `Idempotency-Key`, if they are for logged-in people.

    Whatever answers to GET answers to HEAD.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "GET" in self.methods:
            self.methods.add("HEAD")

    def get_route_handler(self) -> Handler:
        """Return what serves a request."""
        serve = super().get_route_handler()
        extra = self.openapi_extra or {}
        takes_key = "POST" in self.methods and extra.get("keyed", not extra.get("public"))

        async def keyed(request: Request) -> Response:
            key = request.headers.get(idempotency.HEADER)
            if request.method == "HEAD":
                return _without_body(await serve(request))
            if not takes_key or key is None:
                return await serve(request)
            member = await run_in_threadpool(caller.current, request)
            body = await read_body(request)
            identity = request.state.identity = idempotency.RequestIdentity.of(
                member.user_id, request, key, body
            )
            return await idempotency.answer(identity, lambda: _turned(serve, request))

        return keyed


def _without_body(response: Response) -> Response:
    """Return an answer's status and headers; the bytes that it would stream are never asked for."""
    if isinstance(response, FileResponse):  # knows HEAD itself
        return response
    bare = Response(status_code=response.status_code)
    bare.raw_headers = response.raw_headers
    return bare


async def _turned(serve: Handler, request: Request) -> Response:
    """Serve with errors of the market as answers, so that they can be kept like any other."""
    try:
        return await serve(request)
    except MarketError as error:
        return await run_in_threadpool(problems.noted, request, error)


def router() -> APIRouter:
    """Return a router for a group of routes."""
    return APIRouter(route_class=MarketRoute)


def described(
    takes: SchemaType | str | None = None,
    gives: SchemaType | str | None = None,
    plural: str = "",
    refuses: Sequence[int] = (),
    public: bool = False,
    parameters: Sequence[query.Parameter] = (),
    keyed: bool = True,
    deprecated: bool = False,
    also: Mapping[int, SchemaType] | None = None,
    media: Sequence[str] = (),
    ranges: bool = False,
    scope: str | None = None,
    body_required: bool = True,
) -> dict[str, Any]:
    """Return what a route adds to the OpenAPI document, for its `openapi_extra`.

    `takes` and `gives` are schemas, or media types for bytes; with `plural` it gives a list under this name.
    `parameters` are those of the query, and `media` other types in which it gives the same; `also` are other
    good answers by their status. With `ranges` it gives a part of the bytes to who asks for one. A POST that
    is not `keyed` takes no `Idempotency-Key`: it changes nothing that may not be changed twice.
    `scope` is what a token for a program needs here (scopes.py). Without `body_required` a request may come
    without the body that it `takes`.
    """
    return {
        "takes": takes,
        "gives": gives,
        "plural": plural,
        "refuses": tuple(refuses),
        "public": public,
        "keyed": keyed and not public,
        "deprecated": deprecated,
        "parameters": tuple(parameters),
        "also": dict(also or {}),
        "media": tuple(media),
        "ranges": ranges,
        "scope": scopes.checked(scope),
        "body_required": body_required,
    }


async def read_body(request: Request) -> bytes:
    """Return a request's body; again: the same bytes. Raises TooLargeError above 1 MiB, BrokenOffError."""
    kept: bytes | None = getattr(request, "_body", None)
    if kept is None:
        kept = b""
        try:
            async for chunk in request.stream():
                kept += chunk
                if len(kept) > _MAX_BODY:
                    raise TooLargeError(
                        f"A body may have {_MAX_BODY} bytes; upload files with PUT /files/PATH."
                    )
        except ClientDisconnect:
            raise BrokenOffError("The body broke off. Send it again.") from None
        request._body = kept
    return kept


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in a body; an empty body is an empty object. Raises BadInputError."""
    raw = await read_body(request)
    if not raw.strip():
        return {}
    try:
        body = parsed(raw, exact=True)
        if not isinstance(body, dict):
            raise BadInputError({"body": ["must be a JSON object"]})
        errors = {
            name: ["holds a character that cannot be stored"] for name in body if not is_storable(body[name])
        }
    except (ValueError, RecursionError):
        raise BadInputError({"body": ["is not valid JSON, or nested too deeply"]}) from None
    if errors or not all(map(is_storable, body)):
        raise BadInputError(errors or {"body": ["holds a name that cannot be stored"]})
    return body


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
WebhookId = Annotated[str, _identity("webhook", "webhook_id")]
TokenId = Annotated[str, _identity("token", "token_id")]
InvitationId = Annotated[str, _identity("invitation", "invitation_id")]
UserId = Annotated[str, _identity("user", "user_id")]
ProjectId = Annotated[str, _identity("project", "project_id")]
FilePath = Annotated[str, Path()]


def part(request: Request, plural: str, rows: Sequence[object]) -> dict[str, Any]:
    """Return `{<plural>: [...], "total": n}` of a list that is whole unless `limit` or `offset` is given.

    Raises BadInputError.
    """
    limit, offset = (parameter.read(request) for parameter in query.PART)
    offset = offset or 0
    shown = rows[offset : None if limit is None else offset + limit]
    return {plural: shown, "total": len(rows)}


def dumped(schema: SchemaType, value: object) -> dict[str, Any]:
    """Return an answer in the form of its schema."""
    answer: dict[str, Any] = schema().dump(value)
    return answer


def listed(plural: str, schema: SchemaType, listing: Listing[Any]) -> dict[str, Any]:
    """Return a page of a list: `{<plural>: [...], "total": n}`."""
    return {plural: schema(many=True).dump(listing.rows), "total": listing.total}
