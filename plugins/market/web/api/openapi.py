"""The OpenAPI document: made from the routes and the marshmallow schemas that they name."""

from __future__ import annotations

import functools
import re
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from fastapi import FastAPI
from fastapi.routing import APIRoute
from marshmallow import Schema, fields

from market.web.api.idempotency import HEADER
from market.web.api.problems import MEDIA_TYPE
from market.web.schemas.common import ProblemSchema

_PARAMETER = re.compile(r"{(\w+)(:path)?}")
_PAGE = {
    "limit": "1 to 200, by default 50",
    "offset": "rows to skip",
    "order_by": "a field, or -field for descending; newest first by default",
}


def document(app: FastAPI, mounted_at: str = "/market") -> dict[str, Any]:
    """Return the document of an application's routes."""
    spec = APISpec(
        title="DistributedMarket",
        version="1",
        openapi_version="3.1.0",
        info={
            "description": "Credits are decimal strings with six places, times epoch milliseconds, ids 32 "
            "hex digits. Errors are RFC 9457 problem documents."
        },
        plugins=[MarshmallowPlugin(schema_name_resolver=_name)],
    )
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    for route in app.routes:
        if isinstance(route, APIRoute):
            path = _PARAMETER.sub(r"{\1}", route.path_format)
            spec.path(path=f"{mounted_at}{path}", operations=_operations(route))
    content: dict[str, Any] = spec.to_dict()
    return content


def _name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")


def _operations(route: APIRoute) -> dict[str, Any]:
    extra = route.openapi_extra or {}
    summary, _, rest = (route.description or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": summary,
        "tags": [str(tag) for tag in route.tags],
        "parameters": _parameters(route, extra),
        "responses": _responses(route, extra),
        "security": [] if extra.get("public") else [{"token": []}],
    }
    if rest.strip():
        operation["description"] = rest.strip()
    if extra.get("deprecated"):
        operation["deprecated"] = True
    if isinstance(extra.get("takes"), str):
        operation["requestBody"] = {
            "required": True,
            "content": {extra["takes"]: {"schema": {"type": "string", "format": "binary"}}},
        }
    elif extra.get("takes"):
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": extra["takes"]}},
        }
    return {method.lower(): operation for method in sorted(route.methods)}


def _parameters(route: APIRoute, extra: dict[str, Any]) -> list[dict[str, Any]]:
    text = {"type": "string"}
    parameters: list[dict[str, Any]] = [
        {"in": "path", "name": name, "required": True, "schema": text}
        for name, _ in _PARAMETER.findall(route.path_format)
    ]
    query = {**extra.get("query", {}), **(_PAGE if extra.get("plural") else {})}
    parameters += [
        {"in": "query", "name": name, "description": description, "schema": text}
        for name, description in query.items()
    ]
    if "POST" in route.methods and extra.get("keyed", True):
        description = "the same key and body gives the first answer again"
        parameters.append({"in": "header", "name": HEADER, "description": description, "schema": text})
    return parameters


def _responses(route: APIRoute, extra: dict[str, Any]) -> dict[str, Any]:
    status = route.status_code or 200
    gives = extra.get("gives")
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if isinstance(gives, str):
        answer["content"] = {gives: {"schema": {"type": "string", "format": "binary"}}}
    elif gives is not None:
        answer["content"] = {"application/json": {"schema": _listed(gives, extra.get("plural", ""))}}
    refused = {*extra.get("refuses", ()), 500, 503} | (set() if extra.get("public") else {401})
    problem = {"content": {MEDIA_TYPE: {"schema": ProblemSchema}}}
    return {str(status): answer} | {
        str(code): {"description": HTTPStatus(code).phrase, **problem} for code in sorted(refused)
    }


def _listed(schema: type[Schema], plural: str) -> Any:
    return _list_schema(schema, plural) if plural else schema


@functools.cache
def _list_schema(schema: type[Schema], plural: str) -> type[Schema]:
    name = f"{plural.title().replace('_', '')}ListSchema"
    rows = {plural: fields.List(fields.Nested(schema)), "total": fields.Integer()}
    listed: type[Schema] = type(name, (Schema,), rows)
    return listed
