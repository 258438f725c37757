"""Routes on who becomes a member, for administrators: invitations, and accounts that wait for approval."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Response

from market.kit.paging import Page
from market.kit.vocabulary import APPROVAL_STATES
from market.people import approvals, invitations
from market.people.schemas import (
    ApprovalSchema,
    InvitationRequestSchema,
    InvitationSchema,
    NewInvitationSchema,
    RefusalSchema,
)
from market.web.api import query, routing, scopes
from market.web.api.caller import AdminCaller
from market.web.api.routing import InvitationId, UserId

router = routing.router()

_INVITATIONS = query.Paging(*invitations.ORDERS)
_APPROVALS = query.Paging(*approvals.ORDERS)
_ALL = "all"
_STATE = query.Choice("state", "those in this state, or all", (*APPROVAL_STATES, _ALL))


@router.get(
    "/invitations",
    tags=["admission"],
    openapi_extra=routing.described(
        gives=InvitationSchema,
        plural="invitations",
        refuses=(403,),
        parameters=_INVITATIONS.parameters,
        scope=scopes.LOGIN,
    ),
)
def list_invitations(admin: AdminCaller, page: Annotated[Page, _INVITATIONS.page]) -> dict[str, Any]:
    """List invitations without their codes, the newest first; for administrators."""
    return routing.listed("invitations", InvitationSchema, invitations.list_invitations(page))


@router.post(
    "/invitations",
    status_code=201,
    tags=["admission"],
    openapi_extra=routing.described(
        # No answer is kept for a twin: it holds the code.
        InvitationRequestSchema,
        NewInvitationSchema,
        refuses=(403, 429),
        keyed=False,
        scope=scopes.LOGIN,
    ),
)
def create_invitation(
    admin: AdminCaller, body: Annotated[dict[str, Any], routing.body(InvitationRequestSchema)]
) -> dict[str, Any]:
    """Make an invitation; its code is in this answer, and nowhere else. For administrators."""
    return routing.dumped(NewInvitationSchema, invitations.create(admin, **body))


@router.delete(
    "/invitations/{invitation_id}",
    status_code=204,
    tags=["admission"],
    openapi_extra=routing.described(refuses=(403, 404, 409), scope=scopes.LOGIN),
)
def revoke_invitation(admin: AdminCaller, invitation_id: InvitationId) -> Response:
    """Have an invitation be good no more; for administrators."""
    invitations.revoke(admin, invitation_id)
    return Response(status_code=204)


@router.get(
    "/approvals",
    tags=["admission"],
    openapi_extra=routing.described(
        gives=ApprovalSchema,
        plural="approvals",
        refuses=(403,),
        parameters=(*_APPROVALS.parameters, _STATE),
        scope=scopes.LOGIN,
    ),
)
def list_approvals(
    request: Request, admin: AdminCaller, page: Annotated[Page, _APPROVALS.page]
) -> dict[str, Any]:
    """List accounts that wait for approval, or had it, the newest first; for administrators."""
    state = _STATE.read(request)
    found = approvals.list_approvals(page, None if state == _ALL else state)
    return routing.listed("approvals", ApprovalSchema, found)


@router.post(
    "/approvals/{user_id}/approve",
    tags=["admission"],
    openapi_extra=routing.described(gives=ApprovalSchema, refuses=(403, 404, 409), scope=scopes.LOGIN),
)
def approve_account(admin: AdminCaller, user_id: UserId) -> dict[str, Any]:
    """Let an account submit jobs, and pay its first credits; for administrators."""
    return routing.dumped(ApprovalSchema, approvals.approve(admin, user_id))


@router.post(
    "/approvals/{user_id}/refuse",
    tags=["admission"],
    openapi_extra=routing.described(
        RefusalSchema, ApprovalSchema, refuses=(403, 404, 409), scope=scopes.LOGIN
    ),
)
def refuse_account(
    admin: AdminCaller, user_id: UserId, body: Annotated[dict[str, Any], routing.body(RefusalSchema)]
) -> dict[str, Any]:
    """Refuse an account that waits, with a reason for its owner; for administrators."""
    return routing.dumped(ApprovalSchema, approvals.refuse(admin, user_id, **body))
