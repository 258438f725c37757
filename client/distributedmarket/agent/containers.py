"""What a NodeManager of this host runs, as it says itself."""

from __future__ import annotations

from typing import Any

import requests

_TIMEOUT_S = (0.5, 2.0)
_ENDED = ("COMPLETE", "DONE")


def running(address: str, port: int) -> list[dict[str, Any]]:
    """Return its containers; none while it does not answer."""
    session = requests.Session()
    session.trust_env = False
    try:
        with session:
            answer = session.get(f"http://{address}:{port}/ws/v1/node/containers", timeout=_TIMEOUT_S).json()
    except (requests.RequestException, ValueError):
        return []
    # Hadoop writes one container as an object instead of a list, and none as null, {} or nothing.
    containers = ((answer or {}).get("containers") or {}).get("container") or []
    if isinstance(containers, dict):
        containers = [containers]
    return [container for container in containers if container.get("state") not in _ENDED]
