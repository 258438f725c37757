"""Whether the parts that the routes need answer. All who ask within two seconds share one answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from market.cluster.clients import hdfs, resource_manager
from market.kit import database

_SHARED_S = 2.0
_DEADLINE_S = 3.0


def _database() -> None:
    with database.transaction() as cursor:
        cursor.execute("SELECT 1")


PARTS: dict[str, Callable[[], object]] = {
    "database": _database,
    "hdfs": lambda: hdfs().status("/user"),
    "yarn": lambda: resource_manager().info(),
}


class _Probe:
    """Asks one part, in a thread that is that part's alone: one that hangs says nothing of another.

    While an answer is outstanding nothing more is asked.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"health-{name}")
        self._asked: Future[object] | None = None

    def ask(self) -> Future[object]:
        """Return the answer to come: that to an earlier question, if it is outstanding."""
        if self._asked is None or self._asked.done():
            self._asked = self._thread.submit(lambda: PARTS[self._name]())
        return self._asked


class Health:
    """The states of all parts, looked at when somebody asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._probes = {name: _Probe(name) for name in PARTS}
        self._at, self._states = 0.0, dict[str, str]()

    def look(self) -> dict[str, str]:
        """Return each part's state: `healthy` or `not answering`."""
        with self._lock:
            if time.monotonic() - self._at > _SHARED_S or not self._states:
                answers = {name: probe.ask() for name, probe in self._probes.items()}
                until = time.monotonic() + _DEADLINE_S
                self._states = {name: _state(answer, until) for name, answer in answers.items()}
                self._at = time.monotonic()
            return self._states


def _state(answer: Future[object], until: float) -> str:
    try:
        answer.result(timeout=max(0.0, until - time.monotonic()))
    except Exception:  # whatever it is: that part's own log has the reason, which is not for everybody
        return "not answering"
    return "healthy"


_health = Health()
look = _health.look
