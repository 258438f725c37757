"""What is listed of an ended job, and what is deleted when its time is over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from ledger_world import World

from market.cluster.errors import ClusterUnavailable, HdfsNotFound
from market.cluster.hdfs import FileStatus
from market.jobs import store
from market.jobs.output import logs, results, retention
from market.jobs.output.logs import JobLog
from market.jobs.store import Job
from market.kit.clock import now_ms

pytestmark = pytest.mark.database

DAY_MS = 86_400_000
LOG = JobLog("container_1_1_01_000001", "driver", "shy-owl", "stdout", 6)


@dataclass
class Files:
    """Files by absolute path, as HDFS would have them."""

    content: dict[str, bytes] = field(default_factory=dict)
    away: bool = False

    def as_user(self, name: str) -> Files:
        return self

    def walk(self, path: str) -> Iterator[tuple[str, FileStatus]]:
        if self.away:
            raise ClusterUnavailable("away")
        found = [name for name in sorted(self.content) if name.startswith(path + "/")]
        if not found:
            raise HdfsNotFound("none")
        return iter([(name[len(path) + 1 :], self._status(name)) for name in found])

    def list(self, path: str) -> list[FileStatus]:
        names = {name[len(path) + 1 :].split("/")[0] for name in self.content if name.startswith(path + "/")}
        return [FileStatus(name, 0, True, now_ms(), "700", "alice") for name in sorted(names)]

    def _status(self, name: str) -> FileStatus:
        return FileStatus("", len(self.content[name]), False, 7, "644", "alice")

    def status(self, path: str) -> FileStatus | None:
        return self._status(path) if path in self.content else None

    def open(self, path: str) -> Iterator[bytes]:
        return iter([self.content[path][:2], self.content[path][2:]])

    def delete(self, path: str, recursive: bool = False) -> bool:
        gone = [name for name in self.content if name.startswith(path + "/")]
        for name in gone:
            del self.content[name]
        return bool(gone)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    made = Files()
    for module in (retention, results):
        monkeypatch.setattr(module, "hdfs", lambda: made)
    return made


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What YARN says of the logs' collection, and what the log server has."""
    made = SimpleNamespace(state="SUCCEEDED", files=[LOG])
    app = SimpleNamespace(log_aggregation="")

    def find(application_id: str) -> SimpleNamespace:
        app.log_aggregation = made.state
        return app

    monkeypatch.setattr(retention, "resource_manager", lambda: SimpleNamespace(app=find))
    monkeypatch.setattr(logs, "look", lambda job: made.files)
    return made


@pytest.fixture
def job(world: World, files: Files, collected: SimpleNamespace) -> str:
    job_id = world.job(world.member())
    world.end_job(job_id, now_ms() - 5_000)
    files.content = {
        f"/market/jobs/{job_id}/output/model/part-0": b"abc",
        f"/market/jobs/{job_id}/output/_SUCCESS": b"",
    }
    return job_id


def found(job_id: str) -> Job:
    job = store.find(job_id)
    assert job is not None
    return job


def test_results_are_listed_with_their_checksums(job: str, files: Files) -> None:
    retention.collect()
    files.away = True  # the list needs no HDFS any more
    assert [(one.path, one.size, one.sha256) for one in results.list_files(found(job))] == [
        ("_SUCCESS", 0, hashlib.sha256(b"").hexdigest()),
        ("model/part-0", 3, hashlib.sha256(b"abc").hexdigest()),
    ]
    assert logs.list_files(found(job)) == [LOG]


def test_before_that_they_are_what_is_there(job: str) -> None:
    assert [(one.path, one.sha256) for one in results.list_files(found(job))] == [
        ("_SUCCESS", None),
        ("model/part-0", None),
    ]


def test_a_job_that_still_runs_is_left_alone(world: World, files: Files, collected: SimpleNamespace) -> None:
    job_id = world.job(world.member())
    retention.collect()
    assert found(job_id).results_ms is None


def test_logs_are_listed_when_they_are_all_collected(job: str, collected: SimpleNamespace) -> None:
    collected.state = "RUNNING"
    retention.collect()
    assert (found(job).results_ms is None, found(job).logs_ms is None) == (False, True)
    collected.state = "SUCCEEDED"
    retention.collect()
    assert logs.list_files(found(job)) == [LOG]


def test_while_hdfs_is_away_nothing_is_concluded(job: str, files: Files) -> None:
    files.away = True
    retention.collect()
    assert found(job).results_ms is None
    files.away = False
    retention.collect()
    assert len(results.list_files(found(job))) == 2


def test_a_file_that_vanished_has_no_checksum(job: str, files: Files, world: World) -> None:
    retention.collect()
    world.sql("UPDATE result_file SET sha256 = NULL")
    del files.content[f"/market/jobs/{job}/output/model/part-0"]
    retention.collect()
    assert {one.path: bool(one.sha256) for one in results.list_files(found(job))} == {
        "_SUCCESS": True,
        "model/part-0": False,
    }
    assert world.one("SELECT count(*) FROM result_file WHERE sha256 IS NULL") == 0, "it is not tried for ever"


def test_results_are_deleted_when_their_time_is_over(job: str, files: Files, world: World) -> None:
    retention.collect()
    retention.discard()
    assert files.content
    world.sql("UPDATE job SET ended_ms = ended_ms - %s", 31 * DAY_MS)
    retention.discard()
    assert not files.content
    with pytest.raises(results.NotFoundError, match="kept for 30 days"):
        results.list_files(found(job))
    assert logs.list_files(found(job)) == [LOG]


def test_what_a_killed_application_left_in_staging_is_deleted(job: str, files: Files, world: World) -> None:
    staged = {"ended": "application_1_0001", "running": "application_1_0002"}
    world.sql("UPDATE run SET application_id = %s WHERE job_id = %s", staged["ended"], job)
    other = world.job(world.member())
    world.sql("UPDATE run SET application_id = %s WHERE job_id = %s", staged["running"], other)
    files.content |= {f"/market/staging/.sparkStaging/{name}/conf.zip": b"x" for name in staged.values()}
    retention.discard()
    assert [name for name in files.content if "Staging" in name] == [
        "/market/staging/.sparkStaging/application_1_0002/conf.zip"
    ]
