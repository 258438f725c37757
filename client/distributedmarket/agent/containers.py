"""What a NodeManager of this host runs, as it says itself."""

from __future__ import annotations

from typing import Any

import requests

from distributedmarket.client import exchange

_CONNECT_S, _WAIT_S = 0.5, 2.0
_ENDED = ("COMPLETE", "DONE")


def running(address: str, port: int, ticket: str = "") -> list[dict[str, Any]]:
    """Return its containers, to who has a ticket where it asks for one; none while it does not answer."""
    url = f"http://{address}:{port}/ws/v1/node/containers"
    try:
        with exchange.session() as session:
            headers = {"Authorization": ticket} if ticket else {}
            answer = exchange.send(session, "GET", url, _WAIT_S, connect_s=_CONNECT_S, headers=headers).json()
    except (requests.RequestException, ValueError):
        return []
    # Hadoop writes one container as an object instead of a list, and none as null, {} or nothing.
    containers = ((answer or {}).get("containers") or {}).get("container") or []
    if isinstance(containers, dict):
        containers = [containers]
    return [container for container in containers if container.get("state") not in _ENDED]
