"""Log files of containers, as the NodeManager and the log server send them: byte-exact, from any offset.

Both wrap what they send in a header with the file's length and a trailer, both only take "the first N bytes"
or "the last N bytes", and a running container's file grows meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from market.cluster.errors import ClusterUnavailable
from market.cluster.http import Bound, Stream, items, opened
from market.cluster.shares import UNLIMITED, Share
from market.cluster.tickets import Asker
from market.kit import whole
from market.kit.text import parsed_storable

# A machine answers from its own disk. A file comes as fast as the line of whoever lends it.
_LISTING = Bound(wait_s=8, max_bytes=8 << 20)
_FILE = Bound(wait_s=20, max_bytes=1 << 30, bytes_per_s=64 << 10)
_MAX_HEADER = 16 << 10
_MOST_BYTES = 2**63 - 1
_OK = 200
_HEADER_END = b"LogContents:\n"
_LENGTH = re.compile(rb"\nLogLength:([0-9]{1,18})\n")
# Up to this offset a file is read from its beginning, and what lies before the offset is dropped. Beyond it
# the file is read from its end: see `fetch_part`.
_FROM_START = 256 << 10
_MARGIN = 64 << 10  # how much a file may grow between two requests; four times as much at each further try
_TRIES = 6
# A program may write files of its own beside its logs.
_MAX_FILES, _MAX_NAME = 500, 255


@dataclass(frozen=True)
class LogFile:
    """A log file; its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Part:
    """A stretch of a file, and how long the whole file was then."""

    file_size: int
    chunks: Iterator[bytes]


@dataclass(frozen=True)
class _Block:
    file_size: int
    size: int
    answer: Stream
    head: bytes
    rest: Iterator[bytes]


def fetch_json(url: str, asker: Asker, share: Share = UNLIMITED, **query: Any) -> Any | None:
    """Return an answer's JSON, None for anything but 200; never more than a few MiB.

    Raises ClusterUnavailable.
    """
    with _get(url, asker, query, "application/json", share, _LISTING) as answer:
        if answer.status_code != _OK:
            return None
        body = answer.whole().content
    try:
        return parsed_storable(body)
    except ValueError:
        return None


def fetch_part(
    url: str, asker: Asker, offset: int, length: int | None, share: Share = UNLIMITED
) -> Part | None:
    """Return bytes of a file from an offset, None if the server does not have the file.

    Raises ClusterUnavailable; while the chunks are read, too, if the server breaks off or is too slow.
    """
    if offset <= _FROM_START:
        block = _block(url, asker, None if length is None else offset + length, share)
        return None if block is None else Part(block.file_size, _cut(block, offset, length))
    probe = _block(url, asker, -1, share)
    for attempt in range(_TRIES):
        if probe is None:
            return None
        probe.answer.close()
        if offset >= probe.file_size:
            return Part(probe.file_size, iter(()))
        block = _block(url, asker, offset - probe.file_size - (_MARGIN << 2 * attempt), share)
        if block is None:
            return None
        start = block.file_size - block.size
        if start <= offset:
            return Part(block.file_size, _cut(block, offset - start, length))
        probe = block  # it has grown by more than the margin meanwhile
    raise ClusterUnavailable("the file grows faster than it can be read")


def _block(url: str, asker: Asker, size: int | None, share: Share) -> _Block | None:
    """Ask for the first (or last, if negative) `size` bytes of a file, and read the answer's header."""
    query = {} if size is None else {"size": size}
    answer = _get(url, asker, query, "*/*", share, _FILE)
    if answer.status_code != _OK:
        answer.close()
        return None
    rest = answer.chunks()
    head = b""
    while _HEADER_END not in head and len(head) < _MAX_HEADER:
        chunk = next(rest, b"")
        if not chunk:
            break
        head += chunk
    header, header_end, head = head.partition(_HEADER_END)
    length = _LENGTH.search(header)
    if not header_end or not length:  # "Can not find logs for container", with 200
        answer.close()
        return None
    file_size = int(length.group(1))
    return _Block(file_size, file_size if size is None else min(abs(size), file_size), answer, head, rest)


def _cut(block: _Block, skip: int, length: int | None) -> Iterator[bytes]:
    """Yield a block's bytes without the first `skip`, at most `length`, and nothing of the trailer."""
    try:
        left = max(0, block.size - skip)
        left = left if length is None else min(left, length)
        for chunk in _joined(block.head, block.rest):
            if left == 0:
                return
            dropped, skip = chunk[skip:], max(0, skip - len(chunk))
            if dropped:
                yield dropped[:left]
                left -= min(left, len(dropped))
    finally:
        block.answer.close()


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _get(url: str, asker: Asker, query: dict[str, Any], accept: str, share: Share, bound: Bound) -> Stream:
    # No status tells a log that is not there from a failure: the server answers 404, 500, 503, or 200 with
    # words.
    return opened("GET", url, bound, share, asker=asker, params=query, headers={"Accept": accept})


def log_files(listing: Any) -> list[LogFile]:
    """Return the files of one container in a listing; sizes come as numbers or as text."""
    return [
        LogFile(str(file["fileName"])[:_MAX_NAME], size)
        for file in items(listing, "containerLogInfo")[:_MAX_FILES]
        if file.get("fileName")
        and (size := whole.parsed(str(file.get("fileSize", "")), _MOST_BYTES)) is not None
    ]
