"""A NodeManager's logs over REST: of the containers of applications that run, or have just ended."""

from __future__ import annotations

from urllib.parse import quote

from market.cluster.container_logs import LogFile, Part, fetch_json, fetch_part, log_files
from market.cluster.http import items
from market.cluster.shares import Share
from market.cluster.tickets import Asker


class NodeManager:
    """A client; `http_address` is host:port, `asker` who asks (one that YARN's access lists let see all).

    The machine is a stranger's: how many wait for it at a time is bounded.
    """

    def __init__(self, http_address: str, asker: Asker) -> None:
        self._base = f"http://{http_address}/ws/v1/node"
        self._asker = asker
        self._share = Share(http_address)

    def log_files(self, container_id: str) -> list[LogFile] | None:
        """Return a container's log files, None if this node does not have them (any more)."""
        url = f"{self._base}/containers/{quote(container_id, safe='')}/logs"
        listing = fetch_json(url, self._asker, self._share)
        blocks = items(listing, "containerLogsInfo")
        # Logs that were collected already are listed beside it, for the same container.
        local = [block for block in blocks if block.get("logAggregationType", "LOCAL") == "LOCAL"]
        return log_files(local[0]) if local else None

    def log(self, container_id: str, file: str, offset: int, length: int | None) -> Part | None:
        """Return bytes of a log file, None if this node does not have it."""
        path = f"containerlogs/{quote(container_id, safe='')}/{quote(file, safe='')}"
        return fetch_part(f"{self._base}/{path}", self._asker, offset, length, self._share)
