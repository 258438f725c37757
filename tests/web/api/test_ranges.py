"""Parts of files, as RFC 9110 has them, over the real routes and a file of HDFS that the test plays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient

from market.cluster.hdfs import File, FileStatus
from market.web.api import problems, ranges, streams

BYTES = bytes(range(256)) * 4
VERSION = ranges.Version(len(BYTES), 1_700_000_000_123)


@dataclass
class Hdfs:
    """Has one file, and counts the bytes that were asked for."""

    asked: int = 0

    def open(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        part = BYTES[offset : None if length is None else offset + length]
        self.asked += len(part)
        return iter([part[:10], part[10:]])


@pytest.fixture
def hdfs() -> Hdfs:
    return Hdfs()


@pytest.fixture
def client(hdfs: Hdfs) -> TestClient:
    app = FastAPI()
    problems.register(app)

    @app.get("/file")
    def file(request: Request, empty: bool = False) -> Response:
        status = FileStatus("", 0 if empty else len(BYTES), False, VERSION.modified_ms, "600", "alice")
        return streams.file(request, File(status, hdfs, "/x"), "a/x.bin")  # type: ignore[arg-type]

    return TestClient(app)


def test_all_of_it_says_that_parts_can_be_had(client: TestClient) -> None:
    answer = client.get("/file")
    assert (answer.status_code, answer.content) == (200, BYTES)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"] == VERSION.tag
    assert answer.headers["Last-Modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert answer.headers["Content-Length"] == "1024"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-9", 5, 9),
        ("bytes=1000-", 1000, 1023),
        ("bytes=1000-5000", 1000, 1023),
        ("bytes=-24", 1000, 1023),
        ("bytes=-5000", 0, 1023),
        ("Bytes = 5 - 9", 5, 9),
    ],
)
def test_a_part(client: TestClient, hdfs: Hdfs, asked: str, first: int, last: int) -> None:
    answer = client.get("/file", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, BYTES[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/1024"
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert answer.headers["ETag"] == VERSION.tag
    assert hdfs.asked == last - first + 1, "no more than that is read"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6",
        "bytes=9-5",
        "bytes=-",
        "bytes=a-b",
        "lines=1-2",
        "bytes",
        "",
        "bytes=٣-٤",
        "bytes=-" + "9" * 5000,
    ],
)
def test_what_is_no_single_range_of_bytes_is_not_heeded(client: TestClient, asked: str) -> None:
    answer = client.get("/file", headers={"Range": asked.encode()})
    assert (answer.status_code, answer.content) == (200, BYTES)


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_behind_the_end(client: TestClient, asked: str) -> None:
    answer = client.get("/file", headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["Content-Type"] == problems.MEDIA_TYPE
    assert answer.headers["Content-Range"] == "bytes */1024"
    assert answer.json()["status"] == 416


def test_of_an_empty_file_there_is_no_part(client: TestClient) -> None:
    assert client.get("/file?empty=true").content == b""
    answer = client.get("/file?empty=true", headers={"Range": "bytes=0-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */0")


@pytest.mark.parametrize(
    ("condition", "status"),
    [(VERSION.tag, 206), (VERSION.date, 206), ('"other"', 200), (f"W/{VERSION.tag}", 200), ("Tue", 200)],
)
def test_a_download_never_joins_two_versions(client: TestClient, condition: str, status: int) -> None:
    answer = client.get("/file", headers={"Range": "bytes=5-9", "If-Range": condition})
    assert answer.status_code == status
    assert answer.content == (BYTES[5:10] if status == 206 else BYTES)
