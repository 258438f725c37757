"""Routes on a member's own files in HDFS."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Response

from market.kit.paging import Page
from market.people import files, tidying
from market.people.schemas import FolderSchema, MoveSchema
from market.web.api import query, routing, scopes, streams
from market.web.api.caller import Caller
from market.web.api.routing import FilePath
from market.web.schemas.common import FileEntrySchema, RoomSchema

router = routing.router()

_BYTES = "application/octet-stream"
_FOLDER = query.Text("path", "a folder, relative to the home", ".")
_PAGING = query.Paging(*files.ORDERS)


@router.get(
    "/files",
    tags=["files"],
    openapi_extra=routing.described(
        gives=FileEntrySchema,
        plural="files",
        refuses=(404, 422),
        parameters=(_FOLDER, *_PAGING.parameters),
        scope=scopes.FILES,
    ),
)
def list_files(request: Request, member: Caller, page: Annotated[Page, _PAGING.page]) -> dict[str, Any]:
    """List one folder of one's home."""
    listing = files.list_folder(member, _FOLDER.read(request), page)
    return routing.listed("files", FileEntrySchema, listing)


@router.put(
    "/files/{path:path}",
    status_code=201,
    tags=["files"],
    openapi_extra=routing.described(
        takes=_BYTES, gives=FileEntrySchema, refuses=(404, 409, 429), scope=scopes.FILES
    ),
)
async def upload_file(request: Request, member: Caller, path: FilePath) -> dict[str, Any]:
    """Store the body as a file, whole or not at all; parents are made, an old file is replaced."""
    body = streams.Upload(request)
    stored = await body.into(lambda chunks: files.put(member, path, chunks, body.length), member.user_id)
    return routing.dumped(FileEntrySchema, stored)


@router.get(
    "/files/{path:path}",
    tags=["files"],
    openapi_extra=routing.described(gives=_BYTES, refuses=(404, 422), ranges=True, scope=scopes.FILES),
)
def download_file(request: Request, member: Caller, path: FilePath) -> Response:
    """Return a file's bytes, or the range of them that is asked for."""
    return streams.file(request, files.get(member, path), path)


@router.post(
    "/files/{path:path}",
    tags=["files"],
    openapi_extra=routing.described(
        MoveSchema, FileEntrySchema, refuses=(404, 409, 413, 422), scope=scopes.FILES
    ),
)
def move_file(
    member: Caller, path: FilePath, body: Annotated[dict[str, Any], routing.body(MoveSchema)]
) -> dict[str, Any]:
    """Give a file or folder another name or place in one's home."""
    return routing.dumped(FileEntrySchema, tidying.move(member, path, **body))


@router.post(
    "/folders",
    status_code=201,
    tags=["files"],
    openapi_extra=routing.described(
        FolderSchema, FileEntrySchema, refuses=(404, 409, 413, 422), scope=scopes.FILES
    ),
)
def make_folder(
    member: Caller, body: Annotated[dict[str, Any], routing.body(FolderSchema)]
) -> dict[str, Any]:
    """Make an empty folder in one's home, and those above it."""
    return routing.dumped(FileEntrySchema, tidying.make_folder(member, **body))


@router.get(
    "/home",
    tags=["files"],
    openapi_extra=routing.described(gives=RoomSchema, refuses=(404,), scope=scopes.FILES),
)
def get_room(member: Caller) -> dict[str, Any]:
    """Return how full one's home is."""
    return routing.dumped(RoomSchema, tidying.room(member))


@router.delete(
    "/files/{path:path}",
    status_code=204,
    tags=["files"],
    openapi_extra=routing.described(refuses=(404, 422), scope=scopes.FILES),
)
def delete_file(member: Caller, path: FilePath) -> Response:
    """Delete a file, or a folder with all that is in it."""
    files.delete(member, path)
    return Response(status_code=204)
