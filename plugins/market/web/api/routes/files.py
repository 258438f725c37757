"""Routes on a member's own files in HDFS."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Response

from market.kit.paging import Page
from market.people import files
from market.web.api import routing, streams
from market.web.api.caller import Caller
from market.web.api.routing import FilePath
from market.web.schemas.common import FileSchema

router = routing.router()

_BYTES = "application/octet-stream"


@router.get(
    "/files",
    tags=["files"],
    openapi_extra=routing.described(
        gives=FileSchema,
        plural="files",
        refuses=(404, 422),
        query={"path": "a folder, relative to the home; by default the home"},
    ),
)
def list_files(
    request: Request, member: Caller, page: Annotated[Page, routing.page("path", "size", "modified_time")]
) -> dict[str, Any]:
    """List one folder of one's home."""
    listing = files.list_folder(member, request.query_params.get("path", "."), page)
    return routing.listed("files", FileSchema, listing)


@router.put(
    "/files/{path:path}",
    status_code=201,
    tags=["files"],
    openapi_extra=routing.described(takes=_BYTES, gives=FileSchema, refuses=(404, 408, 409, 413, 422)),
)
async def upload_file(request: Request, member: Caller, path: FilePath) -> dict[str, Any]:
    """Store the body as a file, whole or not at all; parents are made, an old file is replaced."""
    body = streams.Upload(request)
    stored = await body.into(lambda chunks: files.put(member, path, chunks, body.length))
    return routing.dumped(FileSchema, stored)


@router.get(
    "/files/{path:path}", tags=["files"], openapi_extra=routing.described(gives=_BYTES, refuses=(404, 422))
)
def download_file(member: Caller, path: FilePath) -> Response:
    """Return a file's bytes."""
    status, chunks = files.get(member, path)
    return streams.download(chunks, path, status.size)


@router.delete(
    "/files/{path:path}",
    status_code=204,
    tags=["files"],
    openapi_extra=routing.described(refuses=(404, 422)),
)
def delete_file(member: Caller, path: FilePath) -> Response:
    """Delete a file, or a folder with all that is in it."""
    files.delete(member, path)
    return Response(status_code=204)
