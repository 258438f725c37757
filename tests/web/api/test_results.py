"""What a job left, over its routes: listed, packed, and in parts; HDFS is played."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

from market.cluster.errors import HdfsNotFound
from market.cluster.hdfs import File, FileStatus
from market.hadoop import paths
from market.jobs import store
from market.jobs.output import results
from market.people.member import Member
from market.web.api import caller
from market.web.api.app import create_app

FOLDER = paths.job_folder("alice", "ab" * 16)
RESULTS = f"/api/v1/jobs/{'ab' * 16}/results"


class Files:
    """The files of one job's output, by path."""

    content = {"a": b"first", "k=1/part 0": b"0123456789", "tab\there": b"x", "empty": b""}

    def as_user(self, name: str) -> Files:
        return self

    def walk(self, path: str) -> Iterator[tuple[str, FileStatus]]:
        if path != paths.output(FOLDER):
            raise HdfsNotFound(path)
        return iter([(name, self._status(text)) for name, text in self.content.items()])

    def file(self, path: str) -> File | None:
        text = self.content.get(path.removeprefix(f"{paths.output(FOLDER)}/"))
        return None if text is None else File(self._status(text), self, path)  # type: ignore[arg-type]

    def open(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        text = self.content[path.removeprefix(f"{paths.output(FOLDER)}/")]
        return iter([text[offset : None if length is None else offset + length]])

    def _status(self, text: bytes) -> FileStatus:
        return FileStatus("", len(text), False, 1_700_000_000_000, "600", "alice")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    app = create_app()
    app.dependency_overrides[caller.current] = lambda: Member("cd" * 16, "alice", "")
    monkeypatch.setattr(caller, "known", lambda _: Member("cd" * 16, "alice", ""))
    job = SimpleNamespace(
        job_id="ab" * 16, job_name="digits", username="alice", folder=FOLDER, results_ms=None
    )
    job.discarded_ms = job.ended_ms = None
    monkeypatch.setattr(store, "visible_job", lambda *_: job)
    monkeypatch.setattr(results, "hdfs", Files)
    return TestClient(app)


def test_a_list_of_what_can_be_had(client: TestClient) -> None:
    answer = client.get(RESULTS)
    assert answer.status_code == 200
    rows = answer.json()["files"]
    assert [row["path"] for row in rows] == ["a", "empty", "k=1/part 0"]
    assert rows[0] == {
        **{"path": "a", "size": 5, "is_folder": False},
        **{"modified_time": 1_700_000_000_000, "sha256": None},
    }
    assert answer.json()["total"] == 3
    assert [row["path"] for row in client.get(f"{RESULTS}?limit=1&offset=1").json()["files"]] == ["empty"]


def test_a_zip_of_the_same(client: TestClient) -> None:
    packed = zipfile.ZipFile(io.BytesIO(client.get(f"{RESULTS}?format=zip").content))
    assert packed.namelist() == ["a", "empty", "k=1/part 0"]
    assert packed.read("k=1/part 0") == b"0123456789"


def test_a_part_of_one(client: TestClient) -> None:
    whole = client.get(f"{RESULTS}/k=1/part%200")
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    headers = {"Range": "bytes=8-", "If-Range": whole.headers["ETag"]}
    part = client.get(f"{RESULTS}/k=1/part%200", headers=headers)
    assert (part.status_code, part.content) == (206, b"89")
    assert part.headers["Content-Range"] == "bytes 8-9/10"
    assert client.get(f"{RESULTS}/empty").content == b""


@pytest.mark.parametrize("name", ["tab%09here", "a%0A", "nul%00", "line%0Aend/x"])
def test_a_name_that_is_not_listed_is_refused_in_words(client: TestClient, name: str) -> None:
    answer = client.get(f"{RESULTS}/{name}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert answer.json()["errors"] == {"path": ["A path holds no control character."]}
