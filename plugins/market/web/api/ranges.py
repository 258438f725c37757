"""Parts of files: `Range`, `If-Range` and what is answered to them (RFC 9110, section 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate

from market.kit import whole
from market.kit.errors import MarketError

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]*)\s*-\s*([0-9]*)\s*", re.IGNORECASE)
_MOST = 2**63 - 1


class RangeNotSatisfiableError(MarketError):
    """The range begins behind the end of the file."""

    status = 416
    title = "Range not satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size} bytes, and the range asks for none of them.")
        self._size = size

    @property
    def headers(self) -> Mapping[str, str]:
        """How long the file is."""
        return {"Content-Range": f"bytes */{self._size}"}


@dataclass(frozen=True)
class Version:
    """A version of a file, by its size in bytes and the time of its change in epoch ms."""

    size: int
    modified_ms: int

    @property
    def tag(self) -> str:
        """Its `ETag`: a strong one, as a file of HDFS is replaced and never changed."""
        return f'"{self.modified_ms:x}-{self.size:x}"'

    @property
    def date(self) -> str:
        """Its `Last-Modified`."""
        return formatdate(self.modified_ms // 1000, usegmt=True)

    @property
    def headers(self) -> dict[str, str]:
        """What every answer with bytes of it says."""
        return {"Accept-Ranges": "bytes", "ETag": self.tag, "Last-Modified": self.date}


@dataclass(frozen=True)
class Span:
    """A stretch of a file in bytes."""

    offset: int
    length: int

    def header(self, size: int) -> str:
        """Return `Content-Range`, of a file with so many bytes."""
        return f"bytes {self.offset}-{self.offset + self.length - 1}/{size}"


def wanted(headers: Mapping[str, str], version: Version) -> Span | None:
    """Return the stretch that a request asks for, None for all of the file.

    That is also the answer to what is no single range of bytes, and to an `If-Range` of another version: so a
    download that goes on never joins two versions. Raises RangeNotSatisfiableError.
    """
    asked = _RANGE.fullmatch(headers.get("Range", ""))
    condition = headers.get("If-Range")
    if asked is None or (condition is not None and condition.strip() not in (version.tag, version.date)):
        return None
    first, last = (whole.parsed(text, _MOST) for text in asked.groups())
    size = version.size
    if first is None:
        if last is None:  # neither, or numbers that no file is as long as
            return None
        offset, end = max(0, size - last), size
    else:
        if last is not None and last < first:
            return None
        offset, end = first, size if last is None else min(size, last + 1)
    if offset >= end:
        raise RangeNotSatisfiableError(size)
    return Span(offset, end - offset)
