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

from market.kit.vocabulary import TOKEN_SCOPES
from market.web.api import scopes
from market.web.api.idempotency import HEADER, MAX_KEY
from market.web.api.problems import MEDIA_TYPE
from market.web.schemas.common import ProblemSchema

_PARAMETER = re.compile(r"{(\w+)(:path)?}")
_IDS = {
    name: {"pattern": "^[0-9a-f]{32}$"}
    for name in ("job_id", "machine_id", "token_id", "user_id", "webhook_id")
}
_UNDERSTOOD = "HEAD"  # of everything that GET is documented for


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
    spec.components.security_scheme(
        "program",
        {
            "type": "http",
            "scheme": "bearer",
            "description": "a token of POST /users/me/tokens, by its scopes",
        },
    )
    for route in app.routes:
        if isinstance(route, APIRoute):
            path = _PARAMETER.sub(r"{\1}", route.path_format)
            spec.path(path=f"{mounted_at}{path}", operations=_operations(route))
    content: dict[str, Any] = spec.to_dict()
    return content


_RANGES = {
    "Range": "a single range of bytes: bytes=100-199, bytes=100-, or bytes=-100 for the last ones",
    "If-Range": "the ETag that the range is meant for: of another version the whole file comes",
}


def _raw(media: str) -> dict[str, str]:
    """Return the schema of what is no JSON object of ours: text, or bytes."""
    if media == "application/json":
        return {"type": "object"}
    return {"type": "string"} if media.startswith("text/") else {"type": "string", "format": "binary"}


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
        "security": _security(route, extra),
    }
    if rest.strip():
        operation["description"] = rest.strip()
    if extra.get("deprecated"):
        operation["deprecated"] = True
    if isinstance(extra.get("takes"), str):
        operation["requestBody"] = {
            "required": True,
            "content": {extra["takes"]: {"schema": _raw(extra["takes"])}},
        }
    elif extra.get("takes"):
        operation["requestBody"] = {
            "required": extra["body_required"],
            "content": {"application/json": {"schema": extra["takes"]}},
        }
    return {method.lower(): operation for method in sorted(route.methods - {_UNDERSTOOD})}


def _security(route: APIRoute, extra: dict[str, Any]) -> list[dict[str, list[str]]]:
    """Return who may ask: nobody by name, a login, a token for programs with the scope."""
    if extra.get("public"):
        return []
    taken = scopes.taken(route)
    return [{"token": []}, *({"program": [one]} for one in TOKEN_SCOPES if one in taken)]


def _parameters(route: APIRoute, extra: dict[str, Any]) -> list[dict[str, Any]]:
    text = {"type": "string"}
    parameters: list[dict[str, Any]] = [
        {"in": "path", "name": name, "required": True, "schema": text | _IDS.get(name, {})}
        for name, _ in _PARAMETER.findall(route.path_format)
    ]
    parameters += [
        {"in": "query", "name": one.name, "description": one.description, "schema": one.schema}
        for one in extra.get("parameters", ())
    ]
    if extra.get("ranges"):
        for name, description in _RANGES.items():
            parameters.append({"in": "header", "name": name, "description": description, "schema": text})
    if "POST" in route.methods and extra.get("keyed", True):
        description = "the same key and body gives the first answer again"
        key = text | {"minLength": 1, "maxLength": MAX_KEY}
        parameters.append({"in": "header", "name": HEADER, "description": description, "schema": key})
    return parameters


def _responses(route: APIRoute, extra: dict[str, Any]) -> dict[str, Any]:
    answers = {route.status_code or 200: _content(extra), **_also(extra)}
    if extra.get("ranges"):
        answers[206] = _content(extra)
    described = {
        str(status): {"description": HTTPStatus(status).phrase, **({"content": content} if content else {})}
        for status, content in answers.items()
    }
    problem = {"content": {MEDIA_TYPE: {"schema": ProblemSchema}}}
    return described | {
        str(code): {"description": HTTPStatus(code).phrase, **problem}
        for code in sorted(_refused(route, extra))
    }


def _content(extra: dict[str, Any]) -> dict[str, Any]:
    gives = extra.get("gives")
    content = {media: {"schema": _raw(media)} for media in extra.get("media", ())}
    if isinstance(gives, str):
        return {gives: {"schema": _raw(gives)}, **content}
    if gives is None:
        return content
    return {"application/json": {"schema": _listed(gives, extra.get("plural", ""))}, **content}


def _also(extra: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {
        status: {"application/json": {"schema": gives}} for status, gives in extra.get("also", {}).items()
    }


def _refused(route: APIRoute, extra: dict[str, Any]) -> set[int]:
    """Return the statuses of problems: a route's own, and those that follow from what it takes."""
    refused = {*extra.get("refuses", ()), 500, 503}
    if not extra.get("public"):
        refused |= {401, 403}
    if extra.get("parameters"):
        refused.add(422)
    if extra.get("ranges"):
        refused.add(416)
    if extra.get("takes"):
        refused |= {408, 413, 422}
    if "POST" in route.methods and extra.get("keyed"):
        refused |= {408, 409, 413, 422}
    return refused


def _listed(schema: type[Schema], plural: str) -> Any:
    return _list_schema(schema, plural) if plural else schema


@functools.cache
def _list_schema(schema: type[Schema], plural: str) -> type[Schema]:
    name = f"{plural.title().replace('_', '')}ListSchema"
    rows = {
        plural: fields.List(fields.Nested(schema), required=True),
        "total": fields.Integer(required=True),
    }
    listed: type[Schema] = type(name, (Schema,), rows)
    return listed
