"""Routes for the agents of lent machines, version 1; a person's token says whose machine it is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse

from market.kit.settings import load
from market.machines import agents, client_package, identities, registry
from market.machines.schemas import AgentJoinSchema, AgentReleaseSchema, HeartbeatSchema, MachineRequestSchema
from market.web.api import openapi, routing, scopes, streams
from market.web.api.caller import Caller
from market.web.api.routes.machines import NOW
from market.web.api.routing import MachineId
from market.web.schemas import machines as schemas

router = routing.router()


@router.post(
    "/handshake",
    tags=["agents"],
    openapi_extra=routing.described(
        AgentReleaseSchema, schemas.HandshakeSchema, refuses=(409, 413, 422), keyed=False, scope=scopes.LEND
    ),
)
def handshake(
    member: Caller, body: Annotated[dict[str, Any], routing.body(AgentReleaseSchema)]
) -> dict[str, Any]:
    """Tell whether an agent's release fits the market, before it installs or registers anything."""
    return routing.dumped(schemas.HandshakeSchema, agents.handshake(**body))


@router.get(
    "/hadoop", tags=["agents"], openapi_extra=routing.described(gives="application/zip", scope=scopes.LEND)
)
def hadoop(member: Caller) -> Response:
    """Return Hadoop's jars, from which an agent starts its machine's NodeManager."""
    return streams.own_file(load().paths.hadoop_archive, "application/zip")


@router.get(
    "/classes",
    tags=["agents"],
    openapi_extra=routing.described(gives="text/plain", refuses=(404,), scope=scopes.LEND),
)
def classes(member: Caller) -> Response:
    """Return the classes that jobs load, which an agent archives so that they start sooner."""
    return PlainTextResponse(agents.classes())


@router.get(
    "/client",
    tags=["agents"],
    openapi_extra=routing.described(gives=schemas.ClientPackageSchema, refuses=(404,), public=True),
)
def client() -> dict[str, Any]:
    """Return which client this market gives away, and its digest."""
    return routing.dumped(schemas.ClientPackageSchema, client_package.current())


@router.get(
    "/client/{file_name}",
    tags=["agents"],
    openapi_extra=routing.described(gives="application/zip", refuses=(404,), public=True),
)
def client_file(file_name: str) -> Response:
    """Return the client as a wheel, which pip installs; for everybody, as there is no secret in it."""
    return streams.own_file(client_package.named(file_name).path, "application/zip")


@router.post(
    "/machines",
    status_code=201,
    tags=["agents"],
    openapi_extra=routing.described(
        MachineRequestSchema, schemas.RegisteredSchema, refuses=(409, 413, 422, 429), scope=scopes.LEND
    ),
)
def register(
    request: Request, member: Caller, body: Annotated[dict[str, Any], routing.body(MachineRequestSchema)]
) -> dict[str, Any]:
    """Register a machine: the answer holds what its agent starts the NodeManager with."""
    address = request.client.host if request.client else ""
    return routing.dumped(schemas.RegisteredSchema, registry.register(member, body, address))


@router.post(
    "/machines/{machine_id}/resume",
    tags=["agents"],
    openapi_extra=routing.described(gives=schemas.RegisteredSchema, refuses=(404, 409), scope=scopes.LEND),
)
def resume(member: Caller, machine_id: MachineId) -> dict[str, Any]:
    """Give the agent of a lent machine a new token, after it had to start again."""
    return routing.dumped(schemas.RegisteredSchema, registry.resume(member, machine_id))


@router.post(
    "/machines/{machine_id}/join",
    tags=["agents"],
    openapi_extra=routing.described(
        AgentJoinSchema, schemas.PulseSchema, refuses=(404, 409, 413, 422), scope=scopes.LEND
    ),
)
def join(
    member: Caller, machine_id: MachineId, body: Annotated[dict[str, Any], routing.body(AgentJoinSchema)]
) -> dict[str, Any]:
    """Use the one-time token: from now on the machine's NodeManager is expected and admitted."""
    return routing.dumped(schemas.PulseSchema, agents.join(member, machine_id, **body))


@router.post(
    "/machines/{machine_id}/identity",
    tags=["agents"],
    # No answer is kept for a repetition: there would be a key in it. Each call gives another one.
    openapi_extra=routing.described(
        gives=schemas.IdentitySchema, refuses=(404, 409, 429), keyed=False, scope=scopes.LEND
    ),
)
def identity(member: Caller, machine_id: MachineId) -> dict[str, Any]:
    """Give a machine that has joined a key of its own; 404 where Hadoop's servers believe names."""
    return routing.dumped(schemas.IdentitySchema, identities.issue(member, machine_id))


@router.post(
    "/machines/{machine_id}/heartbeat",
    tags=["agents"],
    openapi_extra=routing.described(
        HeartbeatSchema, schemas.PulseSchema, refuses=(404, 413, 422), keyed=False, scope=scopes.LEND
    ),
)
async def heartbeat(
    request: Request,
    member: Caller,
    machine_id: MachineId,
    body: Annotated[dict[str, Any], routing.body(HeartbeatSchema)],
) -> dict[str, Any]:
    """Tell how a machine is, as soon as it is otherwise than the agent knows, or after some seconds."""
    pulse = await agents.heartbeat(member, machine_id, **body, gone=request.is_disconnected)
    return routing.dumped(schemas.PulseSchema, pulse)


@router.delete(
    "/machines/{machine_id}",
    status_code=202,
    tags=["agents"],
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
    "/openapi.json", tags=["agents"], openapi_extra=routing.described(gives="application/json", public=True)
)
def openapi_document(request: Request) -> dict[str, Any]:
    """Return the document of this interface."""
    return openapi.document(request.app, "/market/agent")
