"""pandas, pyarrow and fsspec open the market's addresses in a job's Python: here of a small WebHDFS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from market.kit import settings

RUNNER = settings.ROOT / "java" / "runner"
PROGRAM = """
import os
import pandas, pyarrow, pyarrow.parquet, pyarrow.fs, fsspec

out = os.environ["MARKET_OUTPUT"]
frame = pandas.DataFrame({"a": range(5), "b": ["ž"] * 5})
frame.to_csv(out + "/a b.csv", index=False)
frame.to_parquet(out + "/t.parquet")
print(pandas.read_csv(out + "/a b.csv").shape, pandas.read_parquet(out + "/t.parquet").a.sum())
print(pyarrow.parquet.read_table(out + "/t.parquet").num_rows)
system, path = pyarrow.fs.FileSystem.from_uri(out)
here = pyarrow.fs.FileSystem.from_uri("/tmp")[0]
print(isinstance(system, pyarrow.fs.FileSystem), path, type(here).__name__)
with fsspec.open(out + "/deep/er.bin", "wb") as file:
    for part in (b"x" * 6_000_000, b"y" * 6_000_000):
        file.write(part)
files = fsspec.filesystem("hdfs")
print(files.info(out + "/deep/er.bin")["size"], files.cat_file(out + "/deep/er.bin", 5_999_999, 6_000_001))
print(sorted(files.ls(out, detail=False)), files.exists(out + "/none"), files.isdir(out + "/deep"))
files.mv(out + "/a b.csv", out + "/moved.csv")
files.rm(out + "/deep", recursive=True)
print(sorted(files.find(out)))
for open_it in (
    lambda: pandas.read_csv(out + "/none.csv"),
    lambda: frame.to_csv(out.replace("output", "forbidden") + "/x.csv"),
    lambda: files.open("hdfs://elsewhere:9000/x"),
    lambda: files.open(out + "/moved.csv", "ab"),
):
    try:
        open_it()
    except Exception as error:
        print(type(error).__name__)
"""


class Store(BaseHTTPRequestHandler):
    """WebHDFS of one user, whose files are in memory."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    asked: list[str]

    def do_GET(self) -> None:
        self._answer()

    do_PUT = do_DELETE = do_GET  # noqa: N815 - the names of the methods

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path).removeprefix("/webhdfs/v1")
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.asked.append(query.get("user.name", ""))
        status, body = self._of(path, query)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _of(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        operation, files = query["op"], self.files
        if "noredirect" in query:
            if "forbidden" in path:
                return 403, refused("AccessControlException")
            if operation == "OPEN" and path not in files:
                return 404, refused("FileNotFoundException")
            here = f"http://{self.headers['Host']}{self.path.replace('noredirect=true', 'data=true')}"
            return 200, json.dumps({"Location": here}).encode()
        if operation == "CREATE":
            files[path] = self._chunks()
            return 201, b""
        if operation == "OPEN":
            start = int(query["offset"])
            return 200, files[path][start : start + int(query["length"])]
        if operation == "MKDIRS":
            return 200, b'{"boolean": true}'
        below = [name for name in files if name.startswith(f"{path}/")]
        if operation == "RENAME":
            files[query["destination"]] = files.pop(path)
            return 200, b'{"boolean": true}'
        if operation == "DELETE":
            for name in below:
                del files[name]
            return 200, b'{"boolean": true}'
        if path not in files and not below:
            return 404, refused("FileNotFoundException")
        if operation == "GETFILESTATUS":
            return 200, json.dumps({"FileStatus": self._status("", path)}).encode()
        children = sorted({name.removeprefix(f"{path}/").split("/")[0] for name in below})
        statuses = [self._status(child, f"{path}/{child}") for child in children]
        return 200, json.dumps({"FileStatuses": {"FileStatus": statuses}}).encode()

    def _status(self, name: str, path: str) -> dict[str, Any]:
        kind = "FILE" if path in self.files else "DIRECTORY"
        length = len(self.files.get(path, b""))
        return {"pathSuffix": name, "type": kind, "length": length, "modificationTime": 1_000}

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


def refused(kind: str) -> bytes:
    return json.dumps({"RemoteException": {"exception": kind, "message": "no\nat Java"}}).encode()


@pytest.fixture
def store() -> Iterator[tuple[str, type[Store]]]:
    kind = type("OneStore", (Store,), {"files": {}, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}", kind
    server.shutdown()
    server.server_close()


def run(address: str, program: str) -> list[str]:
    variables = {
        "PYTHONPATH": str(RUNNER),
        "MARKET_WEBHDFS": address,
        "MARKET_OUTPUT": "hdfs://name:9000/jobs/output",
        "SPARK_USER": "alice",
    }
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.splitlines()


def test_addresses_in_hdfs_are_opened_as_files(store: tuple[str, type[Store]]) -> None:
    address, kind = store
    assert run(address, PROGRAM) == [
        "(5, 2) 10",
        "5",
        "True /jobs/output LocalFileSystem",
        "12000000 b'xy'",
        "['/jobs/output/a b.csv', '/jobs/output/deep', '/jobs/output/t.parquet'] False True",
        "['/jobs/output/moved.csv', '/jobs/output/t.parquet']",
        *("FileNotFoundError", "PermissionError", "ValueError", "ValueError"),
    ]
    assert set(kind.asked) == {"alice"}


def test_a_program_that_opens_none_imports_nothing_for_it(store: tuple[str, type[Store]]) -> None:
    shown = run(
        store[0], "import sys; print([name for name in ('fsspec', 'pyarrow') if name in sys.modules])"
    )
    assert shown == ["[]"]
