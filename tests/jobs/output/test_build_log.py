"""The log of a job's packages among its log files."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from market.cluster.hdfs import FileStatus
from market.jobs.output import build_log, log_reader, logs
from market.kit.errors import NotFoundError

TEXT = b"+ probe==1.0\nbuilt\n"


class Files:
    """An HDFS with the log of one job."""

    def as_user(self, name: str) -> Files:
        assert name == "alice"
        return self

    def status(self, path: str) -> FileStatus | None:
        return FileStatus("", len(TEXT), False, 0, "600", "alice") if "with" in path else None

    def open(self, path: str, offset: int = 0, length: int | None = None) -> Any:
        return iter([TEXT[offset:][:length]])


@pytest.fixture(autouse=True)
def hdfs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_log, "hdfs", Files)
    monkeypatch.setattr(logs, "look", lambda job: [])


def job(job_id: str = "with", builds: bool = True) -> Any:
    return SimpleNamespace(
        job_id=job_id,
        folder=f"/{job_id}",
        username="alice",
        spec=SimpleNamespace(builds=builds),
        logs_ms=None,
    )


def test_it_stands_in_the_list_where_packages_were_fetched() -> None:
    (listed,) = logs.list_files(job())
    assert (listed.container_id, listed.role, listed.file, listed.size) == (
        *("environment", "environment", "build.log"),
        len(TEXT),
    )
    assert logs.list_files(job("none")) == []
    assert logs.list_files(job(builds=False)) == []


def test_it_is_read_like_any_other() -> None:
    assert b"".join(log_reader.read(job(), "environment", "build.log", 2)) == TEXT[2:]
    assert b"".join(log_reader.read(job(), "environment", "build.log", 2, 3)) == TEXT[2:5]
    assert b"".join(log_reader.read(job(), "environment", "build.log", 10_000)) == b""
    offset, chunks = log_reader.tail(job(), "environment", "build.log", 6)
    assert (offset, b"".join(chunks)) == (len(TEXT) - 6, b"built\n")


@pytest.mark.parametrize(("which", "file"), [(job("none"), "build.log"), (job(), "stdout")])
def test_what_is_not_there(which: Any, file: str) -> None:
    with pytest.raises(NotFoundError):
        log_reader.read(which, "environment", file)
