"""The route on the audit, for administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request

from market.kit import audit
from market.kit.paging import Page
from market.web.api import query, routing, scopes
from market.web.api.caller import AdminCaller
from market.web.schemas.audit import AuditLineSchema

router = routing.router()

_PAGING = query.Paging("at")
_LATEST_MS = 2**53
_ALL = "all"
_KIND = query.Choice("kind", "lines of this kind only", (_ALL, *audit.KINDS))
_ACTOR = query.Search("actor", "lines about what this one did, by name")
_SUBJECT = query.Search("subject", "lines about what was done to this: an id, a route, a name", 300)
_SINCE = query.Whole("since", "lines from then on, in epoch milliseconds", 0, _LATEST_MS, default=0)
_UNTIL = query.Whole("until", "lines before then, in epoch milliseconds", 0, _LATEST_MS, default=_LATEST_MS)


@router.get(
    "/audit",
    tags=["audit"],
    openapi_extra=routing.described(
        gives=AuditLineSchema,
        plural="lines",
        refuses=(403,),
        parameters=(*_PAGING.parameters, _KIND, _ACTOR, _SUBJECT, _SINCE, _UNTIL),
        scope=scopes.LOGIN,
    ),
)
def list_audit(request: Request, admin: AdminCaller, page: Annotated[Page, _PAGING.page]) -> dict[str, Any]:
    """List what was refused, ended on sight, made anew or done by administrators; for administrators."""
    since, until = _SINCE.read(request), _UNTIL.read(request)
    assert since is not None
    assert until is not None
    kind = _KIND.read(request)
    who, what = _ACTOR.read(request), _SUBJECT.read(request)
    found = audit.lines(page, None if kind == _ALL else kind, since, until, who, what)
    return routing.listed("lines", AuditLineSchema, found)
