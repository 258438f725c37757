"""Whose threads wait for a server: one machine's, or one program's, share of them is bounded.

A lender's machine, or a program's own web server, may be as slow as an exchange allows, and whoever waits for
it is a thread for that long. So only some wait for one of them at a time, and only some for all of them
together: the threads that are left serve everybody else. Who reads an answer slowly takes no place meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from market.cluster.errors import ClusterUnavailable

_MOST = 4  # threads that wait for one at a time
_MOST_OF_ALL = 16  # for all of them together; a server of the market's has 40 threads
# How long for a place: well-behaved servers free them in no time.
_PATIENCE_S, _PAUSE_S = 1.0, 0.02


class Share:
    """The threads that wait for one server, known by a name; no name: they are not counted."""

    _lock = threading.Lock()
    _waiting = Counter[str]()

    def __init__(self, name: str = "") -> None:
        self._name = name

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while waiting for the server. Raises ClusterUnavailable when there is none."""
        if not self._name:
            yield
            return
        until = time.monotonic() + _PATIENCE_S
        while why := self._refused():
            if time.monotonic() > until:
                raise ClusterUnavailable(why)
            time.sleep(_PAUSE_S)
        try:
            yield
        finally:
            with self._lock:
                self._waiting[self._name] -= 1
                if not self._waiting[self._name]:
                    del self._waiting[self._name]

    def _refused(self) -> str:
        """Take a place; return why there is none, "" if there was one."""
        with self._lock:
            if self._waiting[self._name] >= _MOST:
                return f"{self._name} is slow, and too many ask it now"
            if self._waiting.total() >= _MOST_OF_ALL:
                return "too many wait for slow machines now"
            self._waiting[self._name] += 1
            return ""


UNLIMITED = Share()
