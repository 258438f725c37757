"""The log server (MapReduce's JobHistoryServer): logs that were collected when an application ended."""

from __future__ import annotations

from urllib.parse import quote

from market.cluster.container_logs import LogFile, Part, fetch_json, fetch_part, log_files
from market.cluster.http import items
from market.cluster.tickets import Asker


class JobHistory:
    """A client; `asker` is who asks."""

    def __init__(self, base_url: str, asker: Asker) -> None:
        self._base = base_url.rstrip("/") + "/ws/v1/history"
        self._asker = asker

    def log_files(self, application_id: str) -> dict[str, tuple[str, list[LogFile]]]:
        """Return an application's collected logs: for each container its node (host:port) and its files.

        Nothing while they are being collected, after they were deleted, and of nodes that were lost.
        """
        listing = fetch_json(f"{self._base}/aggregatedlogs", self._asker, appid=application_id)
        return {
            str(container["containerId"]): (_node(str(container.get("nodeId", ""))), log_files(container))
            for container in items(listing, "containerLogsInfoes", "containerLogsInfo")
            if container.get("containerId")
        }

    def log(self, container_id: str, file: str, offset: int, length: int | None) -> Part | None:
        """Return bytes of a collected log file, None if there is none."""
        path = f"containerlogs/{quote(container_id, safe='')}/{quote(file, safe='')}"
        return fetch_part(f"{self._base}/{path}", self._asker, offset, length)


def _node(name: str) -> str:
    """Return host:port; in the names of collected files it is host_port."""
    host, _, port = name.replace(":", "_").rpartition("_")
    return f"{host}:{port}"
