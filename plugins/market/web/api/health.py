"""Whether the parts that the routes need answer. All who ask within two seconds share one answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from market.cluster.clients import hdfs, resource_manager
from market.kit import database

_SHARED_S = 2.0
_DEADLINE_S = 3.0

_lock = threading.Lock()
_last: tuple[float, dict[str, str]] = (0.0, {})
_executor = ThreadPoolExecutor(max_workers=6, thread_name_prefix="health")


def _database() -> None:
    with database.transaction() as cursor:
        cursor.execute("SELECT 1")


PARTS: dict[str, Callable[[], object]] = {
    "database": _database,
    "hdfs": lambda: hdfs().status("/user"),
    "yarn": lambda: resource_manager().info(),
}


def look() -> dict[str, str]:
    """Return each part's state: `healthy` or `not answering`."""
    global _last
    with _lock:
        at, states = _last
        if time.monotonic() - at > _SHARED_S or not states:
            futures = {name: _executor.submit(part) for name, part in PARTS.items()}
            until = time.monotonic() + _DEADLINE_S
            states = {}
            for name, future in futures.items():
                try:
                    future.result(timeout=max(0.0, until - time.monotonic()))
                    states[name] = "healthy"
                except (
                    Exception
                ):  # whatever it is: that part's own log has the reason, which is not for everybody
                    states[name] = "not answering"
            _last = (time.monotonic(), states)
        return states
