"""Routes on projects: their budgets, members, statements and months, and transfers between accounts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request, Response

from market.credits import statement as statements
from market.kit.paging import Page
from market.people.projects import changes, queries, report, transfers
from market.people.projects.schemas import (
    NewProjectSchema,
    ProjectBudgetSchema,
    ProjectMemberInputSchema,
    TransferSchema,
)
from market.web.api import query, routing, scopes
from market.web.api.caller import Caller
from market.web.api.routing import ProjectId
from market.web.schemas.money import StatementSchema
from market.web.schemas.projects import (
    ProjectMemberSchema,
    ProjectSchema,
    ReportSchema,
    TransferredSchema,
)

router = routing.router()

_PAGING = query.Paging(*queries.ORDER_BY)
_MEMBER_PAGING = query.Paging(*queries.MEMBER_ORDER_BY)
_FORMAT = query.Choice("format", "how the postings are written", ("json", "csv", "beancount"))
_REPORT_FORMAT = query.Choice("format", "how the lines are written", ("json", "csv"))
_MONTH = query.Whole("month", "a month (UTC) like 202611; by default this one", 197001, 999912)

Username = Annotated[str, Path()]


@router.post(
    "/projects",
    status_code=201,
    tags=["projects"],
    openapi_extra=routing.described(
        NewProjectSchema, ProjectSchema, refuses=(403, 404, 409, 413, 422, 429), scope=scopes.PROJECT
    ),
)
def create_project(
    request: Request, member: Caller, body: Annotated[dict[str, Any], routing.body(NewProjectSchema)]
) -> dict[str, Any]:
    """Make a project, or a part of one that one manages."""
    answering = routing.answering(request, ProjectSchema, 201)
    return routing.dumped(ProjectSchema, changes.create(member, body, answering))


@router.get(
    "/projects",
    tags=["projects"],
    openapi_extra=routing.described(
        gives=ProjectSchema, plural="projects", parameters=_PAGING.parameters, scope=scopes.PROJECT
    ),
)
def list_projects(member: Caller, page: Annotated[Page, _PAGING.page]) -> dict[str, Any]:
    """List the projects in which one has a role."""
    return routing.listed("projects", ProjectSchema, queries.list_projects(member, page))


@router.get(
    "/projects/{project_id}",
    tags=["projects"],
    openapi_extra=routing.described(gives=ProjectSchema, refuses=(404,), scope=scopes.PROJECT),
)
def get_project(member: Caller, project_id: ProjectId) -> dict[str, Any]:
    """Return a project: its budget, what is left of it, and its account."""
    return routing.dumped(ProjectSchema, queries.find(member, project_id))


@router.put(
    "/projects/{project_id}",
    tags=["projects"],
    openapi_extra=routing.described(
        ProjectBudgetSchema, ProjectSchema, refuses=(403, 404, 413, 422), scope=scopes.PROJECT
    ),
)
def change_project(
    member: Caller, project_id: ProjectId, body: Annotated[dict[str, Any], routing.body(ProjectBudgetSchema)]
) -> dict[str, Any]:
    """Give a project another title, budget or time; what is not named stays."""
    return routing.dumped(ProjectSchema, changes.change(member, project_id, body))


@router.get(
    "/projects/{project_id}/members",
    tags=["projects"],
    openapi_extra=routing.described(
        gives=ProjectMemberSchema,
        plural="members",
        refuses=(404,),
        parameters=_MEMBER_PAGING.parameters,
        scope=scopes.PROJECT,
    ),
)
def list_project_members(
    member: Caller, project_id: ProjectId, page: Annotated[Page, _MEMBER_PAGING.page]
) -> dict[str, Any]:
    """List who has a role in a project, with his cap and what is committed of it this month."""
    return routing.listed("members", ProjectMemberSchema, queries.members(member, project_id, page))


@router.put(
    "/projects/{project_id}/members/{username}",
    tags=["projects"],
    openapi_extra=routing.described(
        ProjectMemberInputSchema, ProjectMemberSchema, refuses=(403, 404, 413, 422, 429), scope=scopes.PROJECT
    ),
)
def put_project_member(
    member: Caller,
    project_id: ProjectId,
    username: Username,
    body: Annotated[dict[str, Any], routing.body(ProjectMemberInputSchema)],
) -> dict[str, Any]:
    """Give somebody a role and a cap in a project, or other ones."""
    return routing.dumped(ProjectMemberSchema, changes.set_member(member, project_id, username, body))


@router.delete(
    "/projects/{project_id}/members/{username}",
    status_code=204,
    tags=["projects"],
    openapi_extra=routing.described(refuses=(403, 404, 422), scope=scopes.PROJECT),
)
def delete_project_member(member: Caller, project_id: ProjectId, username: Username) -> Response:
    """Take somebody out of a project, or leave it; his jobs go on, and the project pays for them."""
    changes.remove_member(member, project_id, username)
    return Response(status_code=204)


@router.get(
    "/projects/{project_id}/statement",
    tags=["projects"],
    openapi_extra=routing.described(
        gives=StatementSchema,
        refuses=(404, 422),
        parameters=(_FORMAT, *query.PART),
        media=("text/csv", "text/plain"),
        scope=scopes.PROJECT,
    ),
)
def get_project_statement(request: Request, member: Caller, project_id: ProjectId) -> Any:
    """Return every posting of a project's account, oldest first, with the balance after it."""
    form = _FORMAT.read(request)
    lines = statements.statement(queries.account(member, project_id))
    if form == "csv":
        return _text(statements.as_csv(lines), "text/csv")
    if form == "beancount":
        return _text(statements.as_beancount(lines), "text/plain")
    return routing.dumped(StatementSchema, routing.part(request, "lines", lines))


@router.get(
    "/projects/{project_id}/report",
    tags=["projects"],
    openapi_extra=routing.described(
        gives=ReportSchema,
        refuses=(404, 422),
        parameters=(_REPORT_FORMAT, _MONTH),
        media=("text/csv",),
        scope=scopes.PROJECT,
    ),
)
def get_project_report(request: Request, member: Caller, project_id: ProjectId) -> Any:
    """Return what a month came to, by project of the tree and by member."""
    form = _REPORT_FORMAT.read(request)
    month = report.report(member, project_id, _MONTH.read(request))
    if form == "csv":
        return _text(report.as_csv(month["month"], month["lines"]), "text/csv")
    return routing.dumped(ReportSchema, month)


@router.post(
    "/transfers",
    status_code=201,
    tags=["projects"],
    openapi_extra=routing.described(
        TransferSchema, TransferredSchema, refuses=(402, 403, 404, 409, 413, 422, 429), scope=scopes.PROJECT
    ),
)
def create_transfer(
    request: Request, member: Caller, body: Annotated[dict[str, Any], routing.body(TransferSchema)]
) -> dict[str, Any]:
    """Move credits into a project, within its tree, or back to its members, with a reason."""
    answering = routing.answering(request, TransferredSchema, 201)
    return routing.dumped(TransferredSchema, transfers.transfer(member, **body, answering=answering))


def _text(content: str, media_type: str) -> Response:
    return Response(content, media_type=f"{media_type}; charset=utf-8")
