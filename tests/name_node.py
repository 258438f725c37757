"""A stand-in for HDFS: WebHDFS as the market uses it, over folders and files that live in memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

_ROOT = "/webhdfs/v1"
_NONE = -1  # no quota
_NEW = {"owner": "market", "group": "supergroup", "permission": "755"}


@dataclass
class Node:
    """A file (its bytes) or a folder (None), and what was set on it, as it was sent."""

    data: bytes | None = None
    settings: dict[str, str] = field(default_factory=lambda: dict(_NEW))
    modified_ms: int = field(default_factory=lambda: int(time.time() * 1000))

    def status(self, name: str) -> dict[str, Any]:
        return {
            "pathSuffix": name,
            "length": len(self.data or b""),
            "type": "DIRECTORY" if self.data is None else "FILE",
            "modificationTime": self.modified_ms,
            "accessTime": 0,
            "permission": self.settings["permission"],
            "owner": self.settings["owner"],
            "group": self.settings["group"],
        }


class MissingError(Exception):
    """There is nothing at a path."""


class NameNode:
    """The name space. Rights are kept, and not checked."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {"/": Node()}
        self._lock = threading.RLock()

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, here: str) -> Any:
        """Return what an operation answers, as JSON or as bytes. Raises MissingError."""
        path = path.rstrip("/") or "/"
        with self._lock:
            return getattr(self, f"_{query['op'].lower()}")(path, query, body, here)

    def _found(self, path: str) -> Node:
        try:
            return self.nodes[path]
        except KeyError:
            raise MissingError(path) from None

    def _children(self, path: str) -> dict[str, Node]:
        start = path.rstrip("/") + "/"
        return {
            name[len(start) :]: node
            for name, node in self.nodes.items()
            if name.startswith(start) and name != "/" and "/" not in name[len(start) :]
        }

    def _below(self, path: str) -> dict[str, Node]:
        start = path.rstrip("/") + "/"
        return {name: node for name, node in self.nodes.items() if name == path or name.startswith(start)}

    def _mkdirs(self, path: str, query: dict[str, str], *_: object) -> Any:
        parts = path.strip("/").split("/")
        for number in range(len(parts)):
            node = self.nodes.setdefault("/" + "/".join(parts[: number + 1]), Node())
            if number == len(parts) - 1:
                node.settings["permission"] = query.get("permission", "755")
        return {"boolean": True}

    def _create(self, path: str, query: dict[str, str], body: bytes, here: str) -> Any:
        if query.get("noredirect") == "true":
            return {"Location": f"{here}{_ROOT}{quote(path)}?op=CREATE"}
        self._mkdirs(path.rpartition("/")[0] or "/", {})
        self.nodes[path] = Node(body)
        return {}

    def _open(self, path: str, query: dict[str, str], body: bytes, here: str) -> Any:
        data = self._found(path).data
        if data is None:
            raise MissingError(path)
        start, length = int(query.get("offset", 0)), int(query.get("length", len(data)))
        if query.get("noredirect") == "true":
            return {"Location": f"{here}{_ROOT}{quote(path)}?op=OPEN&offset={start}&length={length}"}
        return data[start : start + length]

    def _getfilestatus(self, path: str, *_: object) -> Any:
        return {"FileStatus": self._found(path).status("")}

    def _liststatus(self, path: str, *_: object) -> Any:
        node = self._found(path)
        if node.data is not None:
            return {"FileStatuses": {"FileStatus": [node.status("")]}}
        found = [child.status(name) for name, child in sorted(self._children(path).items())]
        return {"FileStatuses": {"FileStatus": found}}

    def _rename(self, path: str, query: dict[str, str], *_: object) -> Any:
        target = query["destination"]
        self._found(path)
        if target in self.nodes and query.get("renameoptions") != "OVERWRITE":
            return {"boolean": False}
        for name in list(self._below(path)):
            self.nodes[target + name[len(path) :]] = self.nodes.pop(name)
        return {"boolean": True}

    def _delete(self, path: str, *_: object) -> Any:
        gone = list(self._below(path)) if path in self.nodes else []
        for name in gone:
            del self.nodes[name]
        return {"boolean": bool(gone)}

    def _set(self, path: str, query: dict[str, str], *_: object) -> Any:
        self.nodes.setdefault(path, Node()).settings.update(query)
        return {"boolean": True}

    _setowner = _setpermission = _setquota = _settimes = _set

    def _getcontentsummary(self, path: str, *_: object) -> Any:
        self._found(path)
        inside = self._below(path).values()
        files = [node for node in inside if node.data is not None]
        size = sum(len(node.data or b"") for node in files)
        counts = {"fileCount": len(files), "directoryCount": len(inside) - len(files)}
        quotas = {"quota": _NONE, "spaceQuota": _NONE}
        return {"ContentSummary": {**counts, **quotas, "length": size, "spaceConsumed": size}}

    def _getquotausage(self, path: str, *_: object) -> Any:
        settings, inside = self._found(path).settings, self._below(path).values()
        usage = {
            "fileAndDirectoryCount": len(inside),
            "spaceConsumed": sum(len(node.data or b"") for node in inside),
            "quota": int(settings.get("namespacequota", _NONE)),
            "spaceQuota": int(settings.get("storagespacequota", _NONE)),
        }
        return {"QuotaUsage": usage}


@contextmanager
def name_node() -> Iterator[tuple[int, NameNode]]:
    """Serve one; yield its port, and what it holds."""
    held = NameNode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            path = unquote(parts.path).removeprefix(_ROOT)
            here = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
            body = self._body()
            try:
                answer = held.answer(self.command, path, query, body, here)
            except MissingError as missing:
                refusal = {"exception": "FileNotFoundException", "message": f"File {missing} does not exist."}
                self._answer(404, json.dumps({"RemoteException": refusal}).encode())
                return
            self._answer(200, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        do_PUT = do_DELETE = do_GET  # noqa: N815

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            whole = b""
            while size := int(self.rfile.readline(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole

        def _answer(self, status: int, sent: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_port, held
    finally:
        server.shutdown()
        server.server_close()
