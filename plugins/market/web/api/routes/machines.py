"""Routes on machines: lend, look, take back.

`join`, `resume` and `hadoop` are for whoever starts a NodeManager by hand. Agents have an interface of their
own (`agents`), which refuses a release that does not fit.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Response

from market.kit.paging import Page
from market.kit.settings import load
from market.machines import contributions as lines
from market.machines import registry
from market.machines.schemas import JoinRequestSchema, MachineRequestSchema, ResizeRequestSchema
from market.web.api import query, routing, scopes, streams
from market.web.api.caller import Caller
from market.web.api.routing import MachineId
from market.web.schemas import machines as schemas
from market.web.schemas.money import MetadataSchema

router = routing.router()

NOW = query.Flag("now", "at once, without waiting for what runs there")
_SCOPE = query.Choice(
    "scope",
    "one's own machines; the market's, without addresses and owners; all with both, for administrators",
    ("own", "market", "all"),
)
_FORMAT = query.Choice("format", "how the rows are written", ("json", "csv"))
_PAGING = query.Paging(
    "created_time",
    "lease_end",
    "display_name",
    "machine_type",
    "core_count",
    "memory_size",
    "availability",
)


@router.post(
    "/machines",
    status_code=201,
    tags=["machines"],
    openapi_extra=routing.described(
        MachineRequestSchema, schemas.RegisteredSchema, refuses=(409, 413, 422, 429), scope=scopes.LEND
    ),
)
def register(
    request: Request, member: Caller, body: Annotated[dict[str, Any], routing.body(MachineRequestSchema)]
) -> dict[str, Any]:
    """Lend a machine: the answer holds what its agent starts the NodeManager with."""
    address = request.client.host if request.client else ""
    return routing.dumped(schemas.RegisteredSchema, registry.register(member, body, address))


@router.post(
    "/machines/{machine_id}/join",
    tags=["machines"],
    openapi_extra=routing.described(
        JoinRequestSchema,
        schemas.MachineSchema,
        refuses=(404, 409, 413, 422),
        deprecated=True,
        scope=scopes.LEND,
    ),
)
def join(
    member: Caller,
    machine_id: MachineId,
    body: Annotated[dict[str, Any], routing.body(JoinRequestSchema)],
) -> dict[str, Any]:
    """Use the one-time token: from now on the machine's NodeManager is expected and admitted."""
    return routing.dumped(schemas.MachineSchema, registry.join(member, machine_id, **body))


@router.post(
    "/machines/{machine_id}/resize",
    tags=["machines"],
    openapi_extra=routing.described(
        ResizeRequestSchema, schemas.MachineSchema, refuses=(404, 409, 413, 422), scope=scopes.LEND
    ),
)
def resize(
    member: Caller,
    machine_id: MachineId,
    body: Annotated[dict[str, Any], routing.body(ResizeRequestSchema)],
) -> dict[str, Any]:
    """Change what one's machine lends while it runs; what runs there may end first."""
    return routing.dumped(schemas.MachineSchema, registry.resize(member, machine_id, **body))


@router.post(
    "/machines/{machine_id}/verify",
    status_code=202,
    tags=["machines"],
    openapi_extra=routing.described(gives=schemas.MachineSchema, refuses=(404, 409, 429), scope=scopes.LEND),
)
def verify(member: Caller, machine_id: MachineId) -> dict[str, Any]:
    """Have a machine measured as soon as nothing runs on it; for its owner and administrators."""
    return routing.dumped(schemas.MachineSchema, registry.verify(member, machine_id))


@router.get(
    "/machines/{machine_id}/verifications",
    tags=["machines"],
    openapi_extra=routing.described(gives=schemas.VerificationListSchema, refuses=(404,)),
)
def verifications(member: Caller, machine_id: MachineId) -> dict[str, Any]:
    """Return what was measured on a machine, newest first."""
    rows = registry.verifications(member, machine_id)
    return routing.dumped(schemas.VerificationListSchema, {"verifications": rows, "total": len(rows)})


@router.post(
    "/machines/{machine_id}/resume",
    tags=["machines"],
    openapi_extra=routing.described(
        gives=schemas.RegisteredSchema, refuses=(404, 409), deprecated=True, scope=scopes.LEND
    ),
)
def resume(member: Caller, machine_id: MachineId) -> dict[str, Any]:
    """Give the agent of a lent machine a new token, after it had to start again."""
    return routing.dumped(schemas.RegisteredSchema, registry.resume(member, machine_id))


@router.get(
    "/machines",
    tags=["machines"],
    openapi_extra=routing.described(
        gives=schemas.MachineSchema,
        plural="machines",
        refuses=(403,),
        parameters=(_SCOPE, *_PAGING.parameters),
    ),
)
def list_machines(request: Request, member: Caller, page: Annotated[Page, _PAGING.page]) -> dict[str, Any]:
    """List one's own machines, those of the market, or all."""
    scope = _SCOPE.read(request)
    if scope == "market":
        return routing.listed("machines", schemas.MarketMachineSchema, registry.list_market(page))
    if scope == "all":
        return routing.listed("machines", schemas.MachineSchema, registry.list_all(member, page))
    return routing.listed("machines", schemas.MachineSchema, registry.list_own(member, page))


@router.get(
    "/machines/hadoop",
    tags=["machines"],
    openapi_extra=routing.described(gives="application/zip", deprecated=True, scope=scopes.LEND),
)
def hadoop(member: Caller) -> Response:
    """Return Hadoop's jars, from which an agent starts its machine's NodeManager."""
    return streams.own_file(load().paths.hadoop_archive, "application/zip")


@router.get(
    "/machines/{machine_id}",
    tags=["machines"],
    openapi_extra=routing.described(gives=schemas.MachineSchema, refuses=(404,)),
)
def machine(member: Caller, machine_id: MachineId) -> dict[str, Any]:
    """Return a machine."""
    return routing.dumped(schemas.MachineSchema, registry.get(member, machine_id))


@router.delete(
    "/machines/{machine_id}",
    status_code=202,
    tags=["machines"],
    openapi_extra=routing.described(
        gives=schemas.MachineStateSchema,
        refuses=(404, 422),
        parameters=(NOW,),
        scope=scopes.LEND,
    ),
)
def leave(request: Request, member: Caller, machine_id: MachineId) -> dict[str, Any]:
    """Drain a machine and take it out of the pool; for its owner and administrators."""
    now = NOW.read(request)
    return routing.dumped(schemas.MachineStateSchema, registry.leave(member, machine_id, now=now))


@router.get(
    "/machines/{machine_id}/contributions",
    tags=["machines"],
    openapi_extra=routing.described(
        gives=schemas.ContributionListSchema,
        refuses=(404, 422),
        parameters=(_FORMAT, *query.PART),
        media=("text/csv",),
    ),
)
def contributions(request: Request, member: Caller, machine_id: MachineId) -> Any:
    """Return what a machine did and earned, by settled interval."""
    form = _FORMAT.read(request)
    rows = lines.of_machine(member, machine_id)
    if form == "csv":
        return Response(lines.as_csv(rows), media_type="text/csv; charset=utf-8")
    return routing.dumped(
        schemas.ContributionListSchema,
        routing.part(request, "contributions", rows) | {"totals": lines.totals(rows)},
    )


@router.get(
    "/metadata", tags=["market"], openapi_extra=routing.described(gives=MetadataSchema, refuses=(502,))
)
def metadata(member: Caller) -> dict[str, Any]:
    """Return capacity, use, waiting demand and price for each machine type."""
    return routing.dumped(MetadataSchema, registry.metadata())
