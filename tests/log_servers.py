"""A NodeManager, a ResourceManager and a log server that know some log files and answer as Hadoop's do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from servers import answering

NODE = "127.0.0.1:45454"
Files = dict[str, dict[str, bytes]]


@dataclass
class Servers:
    """What the machine has and what was collected, by container and file; `port` is where all answer."""

    port: int = 0
    local: Files = field(default_factory=dict)
    collected: Files = field(default_factory=dict)
    application: str = ""
    says: str = "192.0.2.9"  # the address that the node gives as its own
    grows: int = 0  # bytes that each file of the machine gets before each answer
    late: int = 0  # answers of the log server before it knows what was collected
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(path)
        parts = [unquote(part) for part in path.split("/")[3:]]
        if parts[0] == "cluster":
            return self._cluster(parts[1:])
        if parts[0] == "node":
            self._grow()
            if parts[1] == "containers":
                return self._listing(parts[2])
            return self._log(self.local, parts[2], parts[3], query, b"")
        self.late, known = max(0, self.late - 1), {} if self.late else self.collected
        if parts[1] == "aggregatedlogs":
            return self._aggregated(query["appid"], known)
        if not known:
            return 500, b"<html>Request failed.</html>"
        return self._log(known, parts[2], parts[3], query, b"\n")

    def _grow(self) -> None:
        for files in self.local.values():
            for name in files:
                files[name] += b"+" * self.grows

    def _cluster(self, parts: list[str]) -> tuple[int, bytes]:
        if parts[0] == "nodes":
            # What it says of its address is not true: the registered one counts, and of this the port.
            node = {"id": NODE, "state": "RUNNING", "nodeHTTPAddress": f"{self.says}:{self.port}"}
            return 200, json.dumps({"node": node}).encode()
        if parts[-1] == "containers":
            live = [{"containerId": name, "nodeId": NODE} for name in self.local]
            return 200, json.dumps({"container": live}).encode()
        attempt = {"appAttemptId": "appattempt_1_0001_000001", "containerId": "", "nodeId": ""}
        return 200, json.dumps({"appAttempts": {"appAttempt": [attempt]}}).encode()

    def _listing(self, container: str) -> tuple[int, bytes]:
        if container not in self.local:
            return 404, b"HTTP 404 Not Found"
        infos = [
            {"fileName": name, "fileSize": str(len(text))} for name, text in self.local[container].items()
        ]
        # One container is an object here, and a list in the other listing.
        return 200, json.dumps({"containerLogsInfo": {"containerLogInfo": infos}}).encode()

    def _aggregated(self, application: str, known: Files) -> tuple[int, bytes]:
        if application != self.application or not known:
            words = f"Can not find remote application directory for the application:{application}"
            return 503, json.dumps({"RemoteException": {"message": words}}).encode()
        blocks = [
            {
                "containerId": container,
                "nodeId": NODE.replace(":", "_"),
                "containerLogInfo": [
                    {"fileName": name, "fileSize": len(text)} for name, text in files.items()
                ],
            }
            for container, files in known.items()
        ]
        return 200, json.dumps({"containerLogsInfoes": {"containerLogsInfo": blocks}}).encode()

    def _log(
        self, files: Files, container: str, file: str, query: dict[str, str], before_end: bytes
    ) -> tuple[int, bytes]:
        text = files.get(container, {}).get(file)
        if text is None:
            missing = (200, f"Can not find logs for container:{container}".encode())
            return missing if before_end else (404, b"HTTP 404 Not Found")
        size = int(query.get("size", 1 << 60))
        shown = text[:size] if size >= 0 else text[max(0, len(text) + size) :]
        head = f"Container: {container} on {NODE}\nLogAggregationType: X\n=====\nLogType:{file}\n"
        head += f"LogLastModifiedTime:Tue Nov 24 20:35:23 +0000 2026\nLogLength:{len(text)}\nLogContents:\n"
        return 200, head.encode() + shown + before_end + f"End of LogType:{file}.\n*****\n\n".encode()


@contextmanager
def serve() -> Iterator[Servers]:
    """Serve all three on one free port."""
    servers = Servers()

    def answer(target: str, _headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, body = servers.answer(parts.path, query)
        return status, {}, body

    with answering(answer) as servers.port:
        yield servers
