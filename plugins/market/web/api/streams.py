"""Bytes in and out with constant memory: a body for a function in a thread, and chunks for a client."""

from __future__ import annotations

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

from market.kit.errors import BadInputError, MarketError, TooLargeError, UnavailableError
from market.kit.settings import load

T = TypeVar("T")

_CHUNK = 1 << 20
_SILENCE_S = 60
# An upload keeps a thread for as long as it lasts: these are its own, so that other routes have theirs.
_threads = anyio.CapacityLimiter(16)


class BrokenOffError(MarketError):
    """The client stopped sending in the middle of a body."""

    status = 408
    title = "Request timeout"


class Upload:
    """A request's body, to be iterated over by a function that runs in a thread.

    It reads on only as fast as the function takes it. Raises TooLargeError at the byte that is too many, and
    BrokenOffError after a minute of silence, or when the client is gone.
    """

    def __init__(self, request: Request) -> None:
        self._limit = load().files.max_upload_mib << 20
        self.length = _length(request)
        if self.length is not None and self.length > self._limit:
            raise self._too_large()
        self._stream = request.stream()
        self._seen = 0

    async def into(self, function: Callable[[Iterator[bytes]], T]) -> T:
        """Run a function in a thread with the body's chunks, and return what it returns."""
        return await anyio.to_thread.run_sync(function, self._chunks(), limiter=_threads)

    def _chunks(self) -> Iterator[bytes]:
        while chunk := anyio.from_thread.run(self._next):
            yield chunk

    async def _next(self) -> bytes:
        """Return about a MiB, empty at the end."""
        parts, size = [], 0
        try:
            with anyio.fail_after(_SILENCE_S):
                async for part in self._stream:
                    parts.append(part)
                    size += len(part)
                    if size >= _CHUNK:
                        break
        except TimeoutError:
            raise BrokenOffError(f"Nothing came for {_SILENCE_S} s. Send the file again.") from None
        except ClientDisconnect:
            raise BrokenOffError("The body broke off. Send the file again.") from None
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
    if not (text.isascii() and text.isdigit()):
        raise BadInputError({"Content-Length": ["must be a number of bytes"]})
    return int(text)


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
