"""The layout of a packed Python environment, looked at before a job with it is taken.

Drivers and executors start `bin/python` at its top. Only a part of a large archive is read: what that part
does not show is not refused.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from market.cluster.errors import HdfsNotFound

if TYPE_CHECKING:
    from market.cluster.hdfs import Hdfs

_PACKED_BYTES = 8 << 20  # read of an archive
_UNPACKED_BYTES = 64 << 20  # and what they become
_LIST_BYTES = 32 << 20  # read of a zip, whose list stands at its end
_PROGRAMS = ("bin/python", "bin/python3")
_NESTED = re.compile(r"(.{1,200}?)/(bin/python3?|pyvenv\.cfg)\Z", re.DOTALL)
_WINDOWS = re.compile(r"(?i)(scripts/)?python\.exe\Z")
_HOW = "Pack it with venv-pack or conda-pack, so that bin/python is at its top."


def problem(files: Hdfs, path: str) -> str | None:
    """Return why a job cannot start with this environment, in words; None where nothing wrong is seen."""
    try:
        names = _zip(files, path) if path.lower().endswith(".zip") else _tar(files, path)
        return _wrong(names)
    except _EnoughError:
        return None
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
    ):
        return "This is no archive of the kind that its name says, or it is broken. " + _HOW


def _wrong(names: Iterable[str]) -> str | None:
    nested = None
    windows = False
    try:
        for name in names:
            plain = name.removeprefix("./").rstrip("/")
            if plain in _PROGRAMS:
                return None
            nested = nested or _NESTED.match(plain)
            windows = windows or _WINDOWS.match(plain) is not None
    except _EnoughError:
        if not nested and not windows:
            return None
    if windows:
        return "This environment was made on Windows; the machines run Linux. " + _HOW
    if nested:
        return f"Its Python lies in a folder {nested[1]}: pack what is in that folder. {_HOW}"
    return "There is no bin/python in it. " + _HOW


class _EnoughError(Exception):
    """So much has been read that the rest is not looked at."""


def _tar(files: Hdfs, path: str) -> Iterator[str]:
    """Yield the names in a tar, packed or not, as far as it is read."""
    source = _chunks(files, path)
    if not path.lower().endswith(".tar"):
        source = _unpacked(source)
    with tarfile.open(fileobj=_Stream(source), mode="r|") as archive:
        for entry in archive:
            yield entry.name


def _chunks(files: Hdfs, path: str) -> Iterator[bytes]:
    read = 0
    for chunk in files.open(path):
        yield chunk
        read += len(chunk)
        if read > _PACKED_BYTES:
            raise _EnoughError


def _unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    unpacking, made = zlib.decompressobj(wbits=31), 0
    for chunk in chunks:
        rest = chunk
        while rest and not unpacking.eof:
            part = unpacking.decompress(rest, 1 << 16)
            rest = unpacking.unconsumed_tail
            yield part
            made += len(part)
            if made > _UNPACKED_BYTES:
                raise _EnoughError
    if not unpacking.eof:
        raise EOFError("the archive ends too early")


class _Stream(io.RawIOBase):
    """Chunks of bytes as a file that is read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, b""

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, fewer at the end only."""
        parts, wanted = [], size
        while wanted > 0:
            if not self._left:
                self._left = next(self._chunks, b"")
                if not self._left:
                    break
            parts.append(self._left[:wanted])
            self._left = self._left[wanted:]
            wanted -= len(parts[-1])
        return b"".join(parts)


def _zip(files: Hdfs, path: str) -> list[str]:
    """Return the names in a zip."""
    status = files.status(path)
    if status is None:
        raise HdfsNotFound(path)
    with zipfile.ZipFile(io.BufferedReader(_Ranges(files, path, status.size), 1 << 18)) as archive:
        return archive.namelist()


class _Ranges(io.RawIOBase):
    """A file in HDFS of which parts are read."""

    def __init__(self, files: Hdfs, path: str, size: int) -> None:
        self._files, self._path, self._size = files, path, size
        self._at = self._read = 0

    def readable(self) -> bool:
        """Say so."""
        return True

    def seekable(self) -> bool:
        """Say so."""
        return True

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("before its beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read from the place."""
        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        self._read += length
        if self._read > _LIST_BYTES:
            raise _EnoughError
        part = b"".join(self._files.open(self._path, self._at, length))
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)
