"""Routes on a member's tokens for programs; only a login makes, sees and revokes them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Response

from market.airflow.logins import AirflowLogins
from market.people import program_tokens
from market.people.schemas import NewProgramTokenSchema, ProgramTokenRequestSchema, ProgramTokenSchema
from market.web.api import query, routing, scopes
from market.web.api.caller import Caller
from market.web.api.routing import TokenId

router = routing.router()


@router.post(
    "/users/me/tokens",
    status_code=201,
    tags=["tokens"],
    openapi_extra=routing.described(
        # No answer is kept for a twin: it holds the token.
        ProgramTokenRequestSchema,
        NewProgramTokenSchema,
        refuses=(409, 429),
        keyed=False,
        scope=scopes.LOGIN,
    ),
)
def create_token(
    member: Caller, body: Annotated[dict[str, Any], routing.body(ProgramTokenRequestSchema)]
) -> dict[str, Any]:
    """Make a token for a program; its text is in this answer, and nowhere else."""
    return routing.dumped(NewProgramTokenSchema, program_tokens.create(AirflowLogins(), member, **body))


@router.get(
    "/users/me/tokens",
    tags=["tokens"],
    openapi_extra=routing.described(
        gives=ProgramTokenSchema, plural="tokens", parameters=query.PART, scope=scopes.LOGIN
    ),
)
def list_tokens(request: Request, member: Caller) -> dict[str, Any]:
    """List one's tokens for programs, newest first, without their texts."""
    told = ProgramTokenSchema(many=True).dump(program_tokens.list_tokens(member))
    return routing.part(request, "tokens", told)


@router.delete(
    "/users/me/tokens/{token_id}",
    status_code=204,
    tags=["tokens"],
    openapi_extra=routing.described(refuses=(404,), scope=scopes.LOGIN),
)
def revoke_token(member: Caller, token_id: TokenId) -> Response:
    """End a token for a program, at once."""
    program_tokens.revoke(member, token_id)
    return Response(status_code=204)
