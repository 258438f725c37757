"""How connections to the api-server are served: as uvicorn does, and with an end to each wait.

Uvicorn waits for ever for the first request of a connection, for the rest of a request's head, and for an
answer to be read: some thousand connections that do nothing take all that an api-server may have open.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 20.0
READ_S = 60.0
LEAST_BYTES_S = 4 << 10


class PatientProtocol(HttpToolsProtocol):
    """Closes a connection on which the head of a request does not come within 20 s, or no answer is read.

    An answer has a minute, and the time that its bytes take at 4 KiB a second: whoever reads slowly may be so
    late in all. Between two requests uvicorn's own time for idle connections goes on to hold; bodies have
    theirs (`web/api/bodies.py`).
    """

    _deadline: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _slack_s = 0.0  # how much later than 4 KiB a second the other side may yet be
    _since_s = 0.0
    _waiting_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        # What the other side does not take counts. Not 0: over TLS that would wait with nothing to write.
        transport.set_write_buffer_limits(high=1, low=0)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._head_came()
        if self._reading is not None:
            self._reading.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait until what was written is read."""
        super().pause_writing()
        self._since_s = self.loop.time()
        self._waiting_bytes = self.transport.get_write_buffer_size()
        late_s = self._slack_s + self._waiting_bytes / LEAST_BYTES_S
        # Not `close`, which waits until all is written.
        self._reading = self.loop.call_later(late_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it was read."""
        if self._reading is not None:
            self._reading.cancel()
        took_s = self.loop.time() - self._since_s
        self._slack_s = min(READ_S, self._slack_s - took_s + self._waiting_bytes / LEAST_BYTES_S)
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Read on; what is not the body of a request must become a head."""
        super().data_received(data)
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()

    def on_headers_complete(self) -> None:
        """Begin to serve the request; its answer has a time of its own."""
        self._head_came()
        self._slack_s = READ_S
        super().on_headers_complete()

    def _await_head(self) -> None:
        if not self.transport.is_closing():
            self._deadline = self.loop.call_later(HEAD_S, self.transport.close)

    def _head_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
