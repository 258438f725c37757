"""Routes on credits: a user's account and statement, and what administrators give."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Response

from market.credits import grants, refunds, summary
from market.credits import statement as statements
from market.credits.schemas import GrantSchema, RefundSchema
from market.people import members
from market.web.api import query, routing
from market.web.api.caller import AdminCaller, Caller
from market.web.api.routing import JobId, UserId
from market.web.schemas.money import CreditsSchema, GrantedSchema, RefundedSchema, StatementSchema

router = routing.router()

_FORMAT = query.Choice("format", "how the postings are written", ("json", "csv", "beancount"))


@router.get(
    "/users/{user_id}/credits",
    tags=["credits"],
    openapi_extra=routing.described(gives=CreditsSchema, refuses=(404,)),
)
def credits(member: Caller, user_id: UserId) -> dict[str, Any]:
    """Return what a user has earned, spent and holds."""
    return routing.dumped(CreditsSchema, summary.summary(members.visible(member, user_id).user_id))


@router.get(
    "/users/{user_id}/statement",
    tags=["credits"],
    openapi_extra=routing.described(
        gives=StatementSchema,
        refuses=(404, 422),
        parameters=(_FORMAT, *query.PART),
        media=("text/csv", "text/plain"),
    ),
)
def statement(request: Request, member: Caller, user_id: UserId) -> Any:
    """Return every posting of a user's account, oldest first, with the balance after it."""
    form = _FORMAT.read(request)
    lines = statements.statement(members.visible(member, user_id).user_id)
    if form == "csv":
        return _text(statements.as_csv(lines), "text/csv")
    if form == "beancount":
        return _text(statements.as_beancount(lines), "text/plain")
    return routing.dumped(StatementSchema, routing.part(request, "lines", lines))


@router.post(
    "/users/{user_id}/grants",
    status_code=201,
    tags=["credits"],
    openapi_extra=routing.described(GrantSchema, GrantedSchema, refuses=(403, 404, 409, 413, 422)),
)
def grant(
    request: Request,
    admin: AdminCaller,
    user_id: UserId,
    body: Annotated[dict[str, Any], routing.body(GrantSchema)],
) -> dict[str, Any]:
    """Give a user credits, with a reason; for administrators."""
    to = members.visible(admin, user_id)
    answering = routing.answering(request, GrantedSchema, 201)
    given = grants.give(admin.user_id, to.user_id, **body, answering=answering, giver=admin.username)
    return routing.dumped(GrantedSchema, given)


@router.post(
    "/jobs/{job_id}/refunds",
    status_code=201,
    tags=["credits"],
    openapi_extra=routing.described(RefundSchema, RefundedSchema, refuses=(403, 404, 409, 413, 422)),
)
def refund(
    request: Request,
    admin: AdminCaller,
    job_id: JobId,
    body: Annotated[dict[str, Any], routing.body(RefundSchema)],
) -> dict[str, Any]:
    """Give back to its owner part of what a settled job has paid, with a reason; for administrators."""
    answering = routing.answering(request, RefundedSchema, 201)
    given = refunds.give(admin.user_id, job_id, **body, answering=answering, giver=admin.username)
    return routing.dumped(RefundedSchema, given)


def _text(content: str, media_type: str) -> Response:
    return Response(content, media_type=f"{media_type}; charset=utf-8")
