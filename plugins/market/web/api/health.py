"""Whether the parts that the routes need answer; a look is shared by all who ask within two seconds."""

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
        at, found = _last
        if time.monotonic() - at > _SHARED_S or not found:
            asked = {name: _executor.submit(part) for name, part in PARTS.items()}
            until = time.monotonic() + _DEADLINE_S
            found = {}
            for name, future in asked.items():
                try:
                    future.result(timeout=max(0.0, until - time.monotonic()))
                    found[name] = "healthy"
                except Exception:  # whatever it is: why is in that part's own log, and nobody's business here
                    found[name] = "not answering"
            _last = (time.monotonic(), found)
        return found
