"""What a job left, in a real HDFS: listed, read, and in one zip that is made while it is sent."""

from __future__ import annotations

import io
import resource
import secrets
import zipfile
from collections.abc import Iterator
from dataclasses import replace

import pytest

from market.cluster.clients import hdfs
from market.hadoop import paths
from market.jobs.output import results
from market.jobs.spec import JobSpec
from market.jobs.store import Job
from market.kit import settings
from market.kit.clock import new_id, now_ms
from market.kit.errors import BadInputError, NotFoundError

pytestmark = pytest.mark.cluster

MIB = 1 << 20


@pytest.fixture
def job(stack: settings.Settings) -> Iterator[Job]:
    """A job that has ended just now, and has an empty folder of its own."""
    at = now_ms()
    made = Job(
        job_id=new_id(),
        user_id=new_id(),
        username=f"results-{secrets.token_hex(4)}",
        job_name="digits",
        spec=JobSpec("p", "main.py", "cpu", 1, 1, 512, 512, 3600, 100),
        machine_type="cpu",
        core_num=1,
        status="succeeded",
        reason_code=None,
        reason="",
        application_id="application_1_0001",
        added_ms=at,
        started_ms=at,
        ended_ms=at,
        hidden=False,
        cancelled_by=None,
        rate_micro=1,
        hold_ucr=1,
        captured_ucr=0,
    )
    folder = paths.job_folder(made.job_id)
    hdfs().mkdirs(folder, permission="700")
    hdfs().set_owner(folder, made.username)
    yield made
    hdfs().delete(folder, recursive=True)


def write(job: Job, path: str, *chunks: bytes) -> None:
    hdfs().as_user(job.username).create(f"{paths.output(job.job_id)}/{path}", iter(chunks))


def test_before_anything_is_written(job: Job) -> None:
    assert results.list_files(job) == []
    assert zipfile.ZipFile(io.BytesIO(b"".join(results.zip(job)))).namelist() == []
    with pytest.raises(NotFoundError):
        results.open_file(job, "model")


def test_all_files_below_the_output_are_listed_and_read(job: Job) -> None:
    content = {"_SUCCESS": b"", "model/part 0.parquet": b"\x00\xff", "ü/日本": b"text", "z": b"last"}
    for path, text in content.items():
        write(job, path, text)
    found = results.list_files(replace(job, ended_ms=None, status="running"))
    assert [(one.path, one.size) for one in found] == [(path, len(content[path])) for path in sorted(content)]
    for path, text in content.items():
        status, chunks = results.open_file(job, path)
        assert (status.size, b"".join(chunks)) == (len(text), text)
    packed = zipfile.ZipFile(io.BytesIO(b"".join(results.zip(job))))
    assert packed.testzip() is None
    assert {name: packed.read(name) for name in packed.namelist()} == content


def test_a_large_zip_needs_no_memory(job: Job) -> None:
    for name in range(3):
        write(job, f"part-{name}", *[bytes([name]) * MIB] * 64)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = sum(map(len, results.zip(job)))
    assert 192 * MIB < size < 193 * MIB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 40 * 1024


@pytest.mark.parametrize("path", ["", "..", "../../x", "/etc/passwd", "a//b", "folder", "."])
def test_what_is_no_result_file(job: Job, path: str) -> None:
    write(job, "folder/file", b"x")
    with pytest.raises(BadInputError):
        results.open_file(job, path)


def test_another_user_s_folder_is_not_opened_for_him(job: Job) -> None:
    write(job, "secret", b"x")
    thief = replace(job, username="somebody-else")
    assert results.list_files(thief) == []
    with pytest.raises(NotFoundError):
        results.open_file(thief, "secret")


def test_after_their_time_they_are_said_to_be_deleted(job: Job) -> None:
    old = replace(job, ended_ms=now_ms() - 31 * 86_400_000)
    write(old, "model", b"x")
    assert [one.path for one in results.list_files(old)] == ["model"]  # as long as they are there
    hdfs().delete(paths.job_folder(job.job_id), recursive=True)
    for attempt in (
        lambda: results.list_files(old),
        lambda: results.open_file(old, "model"),
        lambda: results.zip(old),
    ):
        with pytest.raises(NotFoundError, match="kept for 30 days"):
            attempt()
