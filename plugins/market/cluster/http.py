"""One way to speak HTTP with the cluster's servers: time-outs, one session a thread, JSON of any shape."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from market.cluster.errors import ClusterUnavailable

CONNECT_S, READ_S = 3.0, 30.0
_local = threading.local()


def session() -> requests.Session:
    """Return this thread's session; it keeps connections open and reads no proxy or .netrc settings."""
    current: requests.Session | None = getattr(_local, "session", None)
    if current is None:
        current = requests.Session()
        current.trust_env = False
        current.mount("http://", HTTPAdapter(pool_maxsize=32))
        _local.session = current
    return current


def send(method: str, url: str, **options: Any) -> requests.Response:
    """Send a request; raise ClusterUnavailable when no server answers or it answers 5xx.

    With `own_errors=True` a 5xx answer is returned as well: WebHDFS reports some refusals so.
    """
    own_errors = options.pop("own_errors", False)
    options.setdefault("timeout", (CONNECT_S, READ_S))
    try:
        answer = session().request(method, url, **options)
    except requests.RequestException as error:
        raise ClusterUnavailable(f"{_server(url)} does not answer ({type(error).__name__})") from error
    if answer.status_code >= 500 and not own_errors:
        raise ClusterUnavailable(f"{_server(url)} answered {answer.status_code}: {answer.text[:200]}")
    return answer


def items(value: Any, *path: str) -> list[dict[str, Any]]:
    """Return the list at a path of a JSON answer.

    Hadoop writes one element as an object instead of a list, and none as null, {} or nothing.
    """
    for name in path:
        if not isinstance(value, Mapping):
            return []
        value = value.get(name)
    if isinstance(value, Mapping):
        return [dict(value)] if value else []
    return [dict(item) for item in value or [] if isinstance(item, Mapping)]


def _server(url: str) -> str:
    return url.split("/", 3)[2]
