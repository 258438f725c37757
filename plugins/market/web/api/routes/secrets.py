"""Routes on a member's own secrets: their names; no answer ever holds a value."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Response

from market.kit.paging import Page
from market.people import secrets
from market.people.schemas import SecretValueSchema
from market.web.api import query, routing, scopes
from market.web.api.caller import Caller
from market.web.schemas.common import SecretSchema

router = routing.router()

_PAGING = query.Paging(*secrets.ORDERS)

Name = Annotated[str, Path()]


@router.get(
    "/secrets",
    tags=["secrets"],
    openapi_extra=routing.described(gives=SecretSchema, plural="secrets", parameters=_PAGING.parameters),
)
def list_secrets(member: Caller, page: Annotated[Page, _PAGING.page]) -> dict[str, Any]:
    """List one's secrets by name."""
    return routing.listed("secrets", SecretSchema, secrets.list_secrets(member, page))


@router.put(
    "/secrets/{name}",
    status_code=201,
    tags=["secrets"],
    openapi_extra=routing.described(SecretValueSchema, SecretSchema, refuses=(429,), scope=scopes.SUBMIT),
)
def put_secret(
    member: Caller, name: Name, body: Annotated[dict[str, Any], routing.body(SecretValueSchema)]
) -> dict[str, Any]:
    """Store a secret under a name, in the place of an older one."""
    return routing.dumped(SecretSchema, secrets.put(member, name, **body))


@router.delete(
    "/secrets/{name}",
    status_code=204,
    tags=["secrets"],
    openapi_extra=routing.described(refuses=(404,), scope=scopes.SUBMIT),
)
def delete_secret(member: Caller, name: Name) -> Response:
    """Delete a secret."""
    secrets.delete(member, name)
    return Response(status_code=204)
