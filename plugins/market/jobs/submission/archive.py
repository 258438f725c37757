"""The archive of what lies beside a program: made at its submission, unpacked by YARN in each container."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.cluster.hdfs import Hdfs
from market.jobs.folder import Entry
from market.kit.errors import ConflictError

_BLOCK = tarfile.BLOCKSIZE
_AT_ONCE = 8
_SMALL_BYTES = 1 << 18  # such files are read several at once, whole
_CHUNK = 1 << 20


def write(files: Hdfs, root: str, entries: Sequence[Entry], place: str) -> None:
    """Write the archive as `files` may. Raises ConflictError where a file has changed meanwhile."""
    files.create(place, _gathered(stream(files, root, entries)))


def stream(files: Hdfs, root: str, entries: Sequence[Entry]) -> Iterator[bytes]:
    """Yield the archive: tar as GNU writes it, whose names are bytes."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for start in range(0, len(entries), _AT_ONCE):
            group = entries[start : start + _AT_ONCE]
            small = {
                entry.path: pool.submit(lambda entry: b"".join(_bytes(files, root, entry)), entry)
                for entry in group
                if entry.size <= _SMALL_BYTES
            }
            for entry in group:
                yield _head(entry)
                yield from [small[entry.path].result()] if entry.path in small else _bytes(files, root, entry)
                yield bytes(-entry.size % _BLOCK)
    yield bytes(2 * _BLOCK)


def _head(entry: Entry) -> bytes:
    head = tarfile.TarInfo(entry.path)
    head.type, head.mode = (tarfile.DIRTYPE, 0o755) if entry.is_folder else (tarfile.REGTYPE, 0o644)
    head.size, head.mtime = entry.size, entry.modified_ms // 1000
    return head.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _bytes(files: Hdfs, root: str, entry: Entry) -> Iterator[bytes]:
    """Yield as many bytes of a file as it had when it was looked at."""
    if entry.is_folder or not entry.size:
        return
    left = entry.size
    try:
        for chunk in files.open(f"{root}/{entry.path}", length=entry.size):
            left -= len(chunk)
            yield chunk
    except HdfsNotFound:
        left = -1
    except HdfsDenied:
        raise ConflictError(f"{entry.path} may not be read. Change that, or name it in exclude.") from None
    if left:
        raise ConflictError(f"{entry.path} was changed while the job was submitted. Submit it again.")


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in fewer pieces."""
    kept = bytearray()
    for chunk in chunks:
        kept += chunk
        if len(kept) >= _CHUNK:
            yield bytes(kept)
            kept.clear()
    yield bytes(kept)
