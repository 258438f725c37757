"""An index of Python packages on this host, as PyPI is one: what lies in a folder, with its hashes."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Index:
    """Files by name, and how often each address was asked for."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def wheel(self, name: str, version: str, modules: dict[str, str], requires: str = "") -> None:
        """Add a wheel with these modules (path -> text)."""
        about = f"{name}-{version}.dist-info"
        needs = f"Requires-Dist: {requires}\n" if requires else ""
        told = {
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, text in (modules | told).items():
                archive.writestr(path, text)
            record = "".join(f"{path},,\n" for path in [*modules, *told, f"{about}/RECORD"])
            archive.writestr(f"{about}/RECORD", record)
        self.files[f"{name}-{version}-py3-none-any.whl"] = packed.getvalue()

    def source(self, name: str, version: str, setup: str) -> None:
        """Add a package that is built by running its `setup.py`."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            told = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            for path, text in {"setup.py": setup, "PKG-INFO": told}.items():
                head = tarfile.TarInfo(f"{name}-{version}/{path}")
                head.size = len(text.encode())
                archive.addfile(head, io.BytesIO(text.encode()))
        self.files[f"{name}-{version}.tar.gz"] = packed.getvalue()

    def page(self, name: str) -> str | None:
        """Return the page of a package."""
        links = [
            f'<a href="/files/{file}#sha256={hashlib.sha256(content).hexdigest()}">{file}</a>'
            for file, content in self.files.items()
            if file.startswith(f"{name}-")
        ]
        return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>" if links else None


@contextmanager
def index(port: int = 0) -> Iterator[Index]:
    """Serve an index; it is empty at first."""
    made = Index()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(f"{self.command} {self.path}")
            parts = self.path.strip("/").split("/")
            content: bytes | None = None
            kind = "text/html"
            if parts[0] == "simple":
                content = text.encode() if (text := made.page(parts[1])) else None
            elif parts[0] == "files":
                content, kind = made.files.get(parts[1]), "application/octet-stream"
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content or b"")

        do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    made.address = f"http://127.0.0.1:{server.server_port}/simple"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
