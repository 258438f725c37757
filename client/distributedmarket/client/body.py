"""The body of a request, which must be the same each time that the request is sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from distributedmarket.client.errors import NotRepeatableError

Data = bytes | IO[bytes] | Iterable[bytes] | None


class Body:
    """Bytes, a file from where it stands, or chunks that come once."""

    def __init__(self, data: Data, media_type: str = "") -> None:
        self.media_type = media_type
        self._data = data
        self._start: int | None = None
        file: Any = data  # a wrapper, as of `tempfile`, is a file by its methods only
        if hasattr(data, "seekable") and file.seekable():
            self._start = file.tell()

    @property
    def repeatable(self) -> bool:
        """Tell whether it can be sent a second time."""
        return self._data is None or isinstance(self._data, bytes) or self._start is not None

    def again(self) -> Any:
        """Return it from its beginning, for `requests`."""
        data: Any = self._data
        if self._start is not None:
            data.seek(self._start)
        return data

    def refuse(self, reason: str) -> NotRepeatableError:
        """Return the error for a request that failed and cannot be sent again."""
        return NotRepeatableError(
            f"{reason}; it was not sent again, since its body cannot be read twice: begin anew, with a file"
        )
