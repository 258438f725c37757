"""Bytes in and out with constant memory: a body for a function in a thread, and chunks for a client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import anyio.from_thread
import anyio.to_thread
from fastapi import Request
from fastapi.responses import FileResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.cluster.hdfs import File
from market.kit import whole
from market.kit.errors import BadInputError, NotFoundError, TooLargeError, UnavailableError
from market.kit.settings import load
from market.web.api import ranges
from market.web.api.bodies import BrokenOffError
from market.web.api.shares import Shares
from market.web.api.upload_threads import Held, UploadThreads

T = TypeVar("T")

_CHUNK = 512 << 10
_MOST_BYTES = 2**63 - 1
_LONGEST_S = 24 * 3600
_HAND_ON_S = 5.0  # HDFS is kept from taking a slow upload for one that has ended
_LOOK_S = 0.25
# An upload keeps a thread for as long as it lasts: these are its own, so that other routes have theirs.
_threads = UploadThreads(128)
_shares = Shares(each=6, everybody=256, waiting=32, patience_s=30.0)


class Upload:
    """A request's body, to be iterated over by a function that runs in a thread.

    It reads on only as fast as the function takes it. Raises TooLargeError at the byte that is too many, and
    BrokenOffError when the client is gone, is silent for too long (`web/api/bodies.py`), or takes a day.
    """

    def __init__(self, request: Request) -> None:
        self._limit = load().files.max_upload_mib << 20
        self.length = _length(request)
        if self.length is not None and self.length > self._limit:
            raise self._too_large()
        self._stream = request.stream()
        self._seen = 0
        self._held: Held | None = None
        self._until = anyio.current_time() + _LONGEST_S

    async def into(self, function: Callable[[Iterator[bytes]], T], of_member: str) -> T:
        """Run a function in a thread with the body's chunks, and return what it returns.

        Each member has a share of the uploads at a time: further ones of his wait for it, and a slow one may
        have to give way. Raises OverLimitError, BusyError.
        """
        async with _shares.one(of_member):
            first = await self._next(full=True)  # without a thread: what never sends much takes none
            async with _threads.one(of_member) as self._held:
                thread = anyio.CapacityLimiter(1)  # its own: _threads has counted it
                return await anyio.to_thread.run_sync(function, self._chunks(first), limiter=thread)

    def _chunks(self, first: bytes) -> Iterator[bytes]:
        chunk = first
        while chunk:
            yield chunk
            chunk = anyio.from_thread.run(self._next)

    async def _next(self, full: bool = False) -> bytes:
        """Return the next chunk, empty at the end; not `full`: what has come when some seconds are over."""
        parts, size = [], 0
        handed_on = anyio.current_time() + _HAND_ON_S
        with anyio.CancelScope() as waits:
            if self._held:
                self._held.waits = waits
            try:
                async for part in self._stream:
                    parts.append(part)
                    size += len(part)
                    if size >= _CHUNK or (size and not full and anyio.current_time() > handed_on):
                        break
            except ClientDisconnect:
                raise BrokenOffError("The body broke off. Send the file again.") from None
        if self._held:
            self._held.bytes += size
            self._held.check()
        if anyio.current_time() > self._until:
            raise BrokenOffError(f"A file must come within {_LONGEST_S // 3600} hours. Send it in parts.")
        self._seen += size
        if self._seen > self._limit:
            raise self._too_large()
        return b"".join(parts)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"A file may have {self._limit} bytes. Send it in parts.")


def _length(request: Request) -> int | None:
    text = request.headers.get("Content-Length")
    if text is None:
        return None
    length = whole.parsed(text, _MOST_BYTES)
    if length is None:
        raise BadInputError({"Content-Length": ["must be a number of bytes"]})
    return length


def file(request: Request, found: File, path: str) -> StreamingResponse:
    """Return a file of HDFS to be saved, or the range that is asked for. Raises RangeNotSatisfiableError.

    A download that broke off goes on where it was: with `Range`, and the `ETag` as `If-Range`.
    """
    version = ranges.Version(found.status.size, found.status.modified_ms)
    span = ranges.wanted(request.headers, version)
    part = span or ranges.Span(0, version.size)
    try:
        chunks = found.chunks(part.offset, part.length)
    except (HdfsNotFound, HdfsDenied):
        raise NotFoundError(f"{path} is not there any more, or may not be read.") from None
    answer = download(chunks, path, part.length)
    if span is not None:
        answer.status_code = 206
        answer.headers["Content-Range"] = span.header(version.size)
    answer.headers.update(version.headers)
    return answer


async def while_wanted(request: Request, work: Callable[[Callable[[], bool]], T]) -> T:
    """Run a function in a thread; it is told through its argument when the client has gone, to end early."""
    gone = False

    async def watch() -> None:
        nonlocal gone
        while not (gone := await request.is_disconnected()):
            await anyio.sleep(_LOOK_S)

    watching = asyncio.create_task(watch())
    try:
        return await anyio.to_thread.run_sync(work, lambda: not gone)
    finally:
        watching.cancel()


def download(chunks: Iterable[bytes], path: str, size: int | None = None) -> StreamingResponse:
    """Return bytes as a file to be saved, never shown: it is users' content on the market's own origin."""
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(path.rsplit('/', 1)[-1], safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        # Keeps Airflow from compressing it on the way, which is slow and hides the length.
        "Content-Encoding": "identity",
    }
    if size is not None:
        headers["Content-Length"] = str(size)
    return StreamingResponse(chunks, headers=headers, media_type="application/octet-stream")


def own_file(path: Path, media_type: str) -> FileResponse:
    """Return one of the market's own files; a client may ask for a range of it. Raises UnavailableError."""
    if not path.exists():
        raise UnavailableError(f"The market lacks {path.name}; its operator can make it with ./market setup.")
    return FileResponse(path, headers={"Content-Encoding": "identity"}, media_type=media_type)


def text(chunks: Iterable[bytes], offset: int = 0) -> StreamingResponse:
    """Return bytes as plain text; `offset` says where in their file they begin."""
    headers: dict[str, Any] = {"Content-Encoding": "identity", "Market-Offset": str(offset)}
    return StreamingResponse(chunks, headers=headers, media_type="text/plain; charset=utf-8")
