"""What a job left, in a real HDFS: listed, read, and in one zip that is made while it is sent."""

from __future__ import annotations

import io
import resource
import secrets
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from market.cluster.clients import hdfs
from market.cluster.errors import HdfsOverQuota
from market.cluster.hdfs import Hdfs
from market.cluster.listing import Lister
from market.hadoop import paths
from market.jobs.output import results
from market.jobs.spec import JobSpec
from market.jobs.store import Job
from market.kit import settings
from market.kit.clock import new_id, now_ms
from market.kit.errors import BadInputError, NotFoundError, TooLargeError
from market.people import files, homes
from market.people.member import Member

pytestmark = pytest.mark.cluster

MIB = 1 << 20


@pytest.fixture
def job(stack: settings.Settings) -> Iterator[Job]:
    """A job that has ended just now, and has an empty folder of its own."""
    at = now_ms()
    job_id, username = new_id(), f"results-{secrets.token_hex(4)}"
    made = Job(
        job_id=job_id,
        user_id=new_id(),
        username=username,
        own_folder=paths.job_folder(username, job_id),
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
    homes.make(made.username)
    hdfs().as_user(made.username).mkdirs(made.folder, permission="700")
    yield made
    for folder in (homes.path(made.username), paths.container_logs(made.username)):
        hdfs().delete(folder, recursive=True)


def write(job: Job, path: str, *chunks: bytes) -> None:
    hdfs().as_user(job.username).create(f"{paths.output(job.folder)}/{path}", iter(chunks))


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
        found = results.open_file(job, path)
        assert (found.status.size, b"".join(found.chunks())) == (len(text), text)
        assert b"".join(found.chunks(1, 2)) == text[1:3]
    packed = zipfile.ZipFile(io.BytesIO(b"".join(results.zip(job))))
    assert packed.testzip() is None
    assert {name: packed.read(name) for name in packed.namelist()} == content


def test_the_driver_s_folder_of_results_is_shown_with_the_output(job: Job) -> None:
    own = hdfs().as_user(job.username)
    write(job, "both", b"output")
    write(job, "table/part-0", b"table")
    for path, text in {"a": b"a", "both": b"driver", "table": b"a file", "tables/x": b"x"}.items():
        own.create(f"{paths.results(job.folder)}/{path}", iter([text]))
    running = replace(job, ended_ms=None, status="running")
    expected = {
        "MARKET_RESULTS/both": b"driver",
        "MARKET_RESULTS/table": b"a file",
        "a": b"a",
        "both": b"output",
        "table/part-0": b"table",
        "tables/x": b"x",
    }
    assert [one.path for one in results.list_files(running)] == list(expected)
    packed = zipfile.ZipFile(io.BytesIO(b"".join(results.zip(running))))
    for path, text in expected.items():
        assert b"".join(results.open_file(running, path).chunks()) == text
        assert packed.read(path) == text


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
    hdfs().delete(job.folder, recursive=True)
    for attempt in (
        lambda: results.list_files(old),
        lambda: results.open_file(old, "model"),
        lambda: results.zip(old),
    ):
        with pytest.raises(NotFoundError, match="kept for 30 days"):
            attempt()


def test_one_quota_holds_for_files_and_for_what_jobs_leave(job: Job) -> None:
    owner = Member(job.user_id, job.username, "")
    hdfs().set_quota(homes.path(job.username), 1000, 64 * MIB)
    write(job, "model", *[b"m" * MIB] * 40)
    with pytest.raises(TooLargeError, match="what jobs have left included"):
        files.put(owner, "data", iter([b"d" * MIB] * 40), 40 * MIB)
    folder = paths.job_folder(job.username, new_id())
    with pytest.raises(HdfsOverQuota):  # nor has another job room of its own
        hdfs().as_user(job.username).create(f"{paths.output(folder)}/model", iter([b"m" * MIB] * 40))
    assert [entry.path for entry in files.list_folder(owner, ".").rows] == [], "jobs' folders are not shown"
    with pytest.raises(BadInputError):
        files.delete(owner, paths.JOBS)
    hdfs().delete(job.folder, recursive=True)
    assert files.put(owner, "data", iter([b"d" * MIB] * 40), 40 * MIB).size == 40 * MIB


@pytest.fixture(params=["the submitter", "HTTP"])
def lister(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have files listed in each of the two ways."""
    if request.param == "HTTP":
        monkeypatch.setattr(Lister, "below", lambda *_: None)
    return str(request.param)


def test_what_is_listed_can_be_had_and_nothing_else(job: Job, lister: str) -> None:
    plain = ["plain", "ü ✓", "q?&=#%20", "deep/1/2/3/x"]
    odd = ["a tab\there", "a\nline", "ends\n", "nul\0", "folder\t"]
    for name in [*plain, *(f"was/{number}" for number in range(4)), "was/4/x"]:
        write(job, name, b"x")
    for number, name in enumerate(odd):  # as only HDFS's own protocol makes them
        top = paths.output(job.folder)
        hdfs().as_user(job.username).rename(f"{top}/was/{number}", f"{top}/{name}")
    found = {one.path for one in results.list_files(job)}
    for name in [*plain, *odd, "folder\t/x"]:
        try:
            assert b"".join(results.open_file(job, name).chunks()) == b"x"
            had = True
        except (BadInputError, NotFoundError):
            had = False
        assert had == (name in found), name
    assert found == set(plain)
    packed = zipfile.ZipFile(io.BytesIO(b"".join(results.zip(job))))
    assert set(packed.namelist()) == found


def test_a_folder_that_is_closed_hides_no_other(job: Job, lister: str) -> None:
    write(job, "closed/x", b"x")
    write(job, "open/x", b"x")
    hdfs().set_permission(f"{paths.output(job.folder)}/closed", "000")
    assert [one.path for one in results.list_files(job)] == ["open/x"]


def test_a_thousand_small_files_are_packed_side_by_side(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long that takes is measured by bench/results.py."""
    with ThreadPoolExecutor(8) as hands:
        list(hands.map(lambda number: write(job, f"k={number % 100}/{number}", b"%d" % number), range(1000)))
    at_once, most, lock, plain = 0, 0, threading.Lock(), Hdfs.open

    def opened(files: Hdfs, *where: Any, **how: Any) -> Iterator[bytes]:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        try:
            yield from plain(files, *where, **how)
        finally:
            with lock:
                at_once -= 1

    monkeypatch.setattr(Hdfs, "open", opened)
    packed = zipfile.ZipFile(io.BytesIO(b"".join(results.zip(job))))
    assert 2 <= most <= 8
    assert {int(packed.read(name)) for name in packed.namelist()} == set(range(1000))
