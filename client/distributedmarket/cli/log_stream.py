"""What a job's driver prints, in pieces, for a loop that does other things between them."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from distributedmarket.client import MarketApiError, UnreachableError
from distributedmarket.sdk import Job


class LogStream:
    """The driver's standard output from its beginning on."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._container = ""
        self._offset = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def more(self) -> Iterator[str]:
        """Yield what is new; nothing while the market has none of it, or is away."""
        try:
            chunk = self._job.log_from(self._place(), "stdout", self._offset)
        except (MarketApiError, UnreachableError):
            return
        self._offset += len(chunk)
        yield self._decoder.decode(chunk)

    def rest(self) -> Iterator[str]:
        """Yield what is left at the job's end."""
        while True:
            before = self._offset
            yield from self.more()
            if self._offset == before:
                return

    def _place(self) -> str:
        newest = self._job.newest_log("stdout", "driver")
        found = newest["container_id"] if newest else ""
        if found != self._container:
            self._container, self._offset = found, 0
        return found
