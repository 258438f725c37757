"""What is listed of an ended job, and what is deleted when its time is over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from ledger_world import World

from market.cluster.errors import ClusterRefused, ClusterUnavailable, HdfsNotFound
from market.cluster.hdfs import FileStatus
from market.hadoop import paths
from market.jobs import points, store
from market.jobs.output import event_logs, logs, manifests, metrics, results, retention
from market.jobs.output.logs import JobLog
from market.jobs.spec import JobSpec
from market.jobs.store import Job
from market.kit import isolation
from market.kit.clock import now_ms
from market.kit.errors import ConflictError

pytestmark = pytest.mark.database

DAY_MS = 86_400_000
LOG = JobLog("container_1_1_01_000001", "driver", "shy-owl", "stdout", 6)


@dataclass
class Files:
    """Files by absolute path, as HDFS would have them."""

    content: dict[str, bytes] = field(default_factory=dict)
    away: bool = False
    bad: str = ""  # a part of a path: what has it in its path cannot be had

    def as_user(self, name: str) -> Files:
        return self

    def walk(self, path: str) -> Iterator[tuple[str, FileStatus]]:
        if self.away:
            raise ClusterUnavailable("away")
        if self.bad and self.bad in path:
            raise ValueError("bad")
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

    def open(self, path: str, length: int | None = None) -> Iterator[bytes]:
        if self.bad and self.bad in path:
            raise ValueError("bad")
        return iter([self.content[path][:2], self.content[path][2:]])

    def delete(self, path: str, recursive: bool = False) -> bool:
        if self.bad and self.bad in path:
            raise ClusterRefused("bad")
        gone = [name for name in self.content if name.startswith(path + "/")]
        for name in gone:
            del self.content[name]
        return bool(gone)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    made = Files()
    for module in (retention, manifests, results, event_logs):
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

    monkeypatch.setattr(manifests, "resource_manager", lambda: SimpleNamespace(app=find))
    monkeypatch.setattr(logs, "look", lambda job: made.files)
    return made


@pytest.fixture
def job(world: World, files: Files, collected: SimpleNamespace) -> str:
    job_id = world.job(world.member())
    world.end_job(job_id, now_ms() - 60_000)
    files.content = {
        f"/market/jobs/{job_id}/output/model/part-0": b"abc",
        f"/market/jobs/{job_id}/output/_SUCCESS": b"",
    }
    return job_id


def collect() -> None:
    """Make the lists as the loops do, one after the other."""
    for work in (manifests.list_results, manifests.list_logs, manifests.compute_checksums):
        with suppress(ClusterUnavailable):
            work()


def found(job_id: str) -> Job:
    job = store.find(job_id)
    assert job is not None
    return job


def test_results_are_listed_with_their_checksums(job: str, files: Files) -> None:
    collect()
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
    collect()
    assert found(job_id).results_ms is None


def test_logs_are_listed_when_they_are_all_collected(job: str, collected: SimpleNamespace) -> None:
    collected.state = "RUNNING"
    collect()
    assert (found(job).results_ms is None, found(job).logs_ms is None) == (False, True)
    collected.state = "SUCCEEDED"
    collect()
    assert logs.list_files(found(job)) == [LOG]


def test_while_hdfs_is_away_nothing_is_concluded(job: str, files: Files) -> None:
    files.away = True
    collect()
    assert found(job).results_ms is None
    files.away = False
    collect()
    assert len(results.list_files(found(job))) == 2


def test_a_file_that_vanished_has_no_checksum(job: str, files: Files, world: World) -> None:
    collect()
    world.sql("UPDATE result_file SET sha256 = NULL")
    del files.content[f"/market/jobs/{job}/output/model/part-0"]
    collect()
    assert {one.path: bool(one.sha256) for one in results.list_files(found(job))} == {
        "_SUCCESS": True,
        "model/part-0": False,
    }
    assert world.one("SELECT count(*) FROM result_file WHERE sha256 IS NULL") == 0, "it is not tried for ever"


def test_results_are_deleted_when_their_time_is_over(job: str, files: Files, world: World) -> None:
    collect()
    retention.discard()
    assert files.content
    world.sql("UPDATE job SET ended_ms = ended_ms - %s", 31 * DAY_MS)
    retention.discard()
    assert not files.content
    with pytest.raises(results.NotFoundError, match="kept for 30 days"):
        results.list_files(found(job))
    assert logs.list_files(found(job)) == [LOG]


def test_what_a_killed_application_left_in_staging_is_deleted(job: str, files: Files) -> None:
    files.content[f"{found(job).folder}/staging/alice/.sparkStaging/application_1_0001/conf.zip"] = b"x"
    manifests.list_results()
    assert not [name for name in files.content if "staging" in name]


def test_the_files_of_a_new_job_lie_in_its_owner_s_home(job: str, files: Files, world: World) -> None:
    home = f"/user/alice/.market-jobs/{job}"
    world.sql("UPDATE job SET folder = %s", home)
    files.content = {f"{home}/output/model": b"abc"}
    collect()
    (one,) = results.list_files(found(job))
    assert (one.path, one.sha256) == ("model", hashlib.sha256(b"abc").hexdigest())
    world.sql("UPDATE job SET ended_ms = ended_ms - %s", 31 * DAY_MS)
    retention.discard()
    assert not files.content


def test_an_owner_makes_room(job: str, files: Files, world: World) -> None:
    collect()
    results.delete(found(job))
    assert not files.content
    with pytest.raises(results.NotFoundError, match="deleted on request"):
        results.list_files(found(job))
    running = world.job(world.member())
    with pytest.raises(ConflictError):
        results.delete(found(running))


def many(world: World, files: Files, count: int) -> list[str]:
    """Make jobs that have ended, each with a file; the first is bad."""
    owner = world.member()
    job_ids = [world.job(owner) for _ in range(count)]
    for job_id in job_ids:
        world.end_job(job_id, now_ms() - 60_000)
        files.content[f"/market/jobs/{job_id}/output/model"] = b"abc"
    files.bad = job_ids[0]
    return job_ids


def test_one_job_that_cannot_be_listed_stops_no_other(
    world: World, files: Files, collected: SimpleNamespace
) -> None:
    bad, *good = many(world, files, 3)
    collect()
    assert found(bad).results_ms is None
    assert all(found(job_id).results_ms for job_id in good)
    assert [one.path for one in results.list_files(found(good[0]))] == ["model"]


def test_what_cannot_be_listed_takes_no_place_among_those_that_can(
    world: World, files: Files, collected: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, *good = many(world, files, 3)
    world.sql("UPDATE job SET ended_ms = ended_ms + 1000 WHERE job_id = %s", bad)  # the newest comes first
    monkeypatch.setattr(manifests, "_BATCH", 1)
    for _ in range(3):
        manifests.list_results()
    assert all(found(job_id).results_ms for job_id in good)


def test_one_file_that_cannot_be_read_stops_no_checksum_and_is_given_up(
    world: World, files: Files, collected: SimpleNamespace
) -> None:
    job_ids = many(world, files, 2)
    files.bad = ""
    manifests.list_results()
    files.bad = job_ids[0]
    for _ in range(isolation.MOST_FAILURES):
        world.sql("UPDATE setback SET next_ms = 0")
        manifests.compute_checksums()
    sums = {row.job_id: row.sha256 for row in world.sql("SELECT * FROM result_file")}
    assert sums == {job_ids[0]: "", job_ids[1]: hashlib.sha256(b"abc").hexdigest()}


def test_one_folder_that_cannot_be_deleted_stops_no_other(
    world: World, files: Files, collected: SimpleNamespace
) -> None:
    bad, *good = many(world, files, 3)
    files.bad = ""
    collect()
    files.bad = bad
    world.sql("UPDATE job SET ended_ms = ended_ms - %s", 31 * DAY_MS)
    retention.discard()
    assert [found(job_id).discarded_ms is None for job_id in (bad, *good)] == [True, False, False]


def test_the_metrics_of_one_point_stop_no_other(
    world: World, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = world.job(world.member(), at=now_ms())
    grid = {"grid": {"alpha": [1, 2, 3]}, "max_parallel": 2}
    world.submitted(job_id, JobSpec.from_json({**found(job_id).spec.to_json(), **grid}))
    world.sql("UPDATE run SET status = 'succeeded', ended_ms = %s", now_ms() - 5_000)
    said = [rb'{"half": "\ud800", "nul\u0000": 1}', b"[" * 50_000, b'{"rmse": 0.5}']
    for point, text in enumerate(said):
        files.content[f"/market/jobs/{job_id}/output/{point}/metrics.json"] = text
    monkeypatch.setattr(metrics, "hdfs", lambda: files)
    files.bad = "/0/metrics"
    metrics.collect()
    assert [point.metrics for point in points.of_sweep(job_id)] == [None, {}, {"rmse": 0.5}]
    files.bad = ""
    world.sql("UPDATE setback SET next_ms = 0")
    metrics.collect()
    assert points.of_sweep(job_id)[0].metrics == {"half": "\ufffd", "nul\ufffd": 1}
    for point in (0, 1, 2):
        world.sql("UPDATE job_point SET metrics = NULL WHERE point = %s", point)
    files.bad = "/metrics"
    for _ in range(isolation.MOST_FAILURES):
        world.sql("UPDATE setback SET next_ms = 0")
        metrics.collect()
    assert [point.metrics for point in points.of_sweep(job_id)] == [{}, {}, {}], (
        "nothing is asked for for ever"
    )


@pytest.mark.usefixtures("world")
def test_packages_that_nobody_has_used_for_a_month_go(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    days = {
        "old.tar": 32,
        "old.json": 32,
        "used.tar": 30,
        "used.json": 30,
        "new.tar.part": 0,
        "left.tar.part": 2,
    }
    long_ago_ms = now_ms() - 90 * DAY_MS  # an archive is not written again when it is used
    kept = [
        FileStatus(name, 1, False, long_ago_ms, "644", "market", used_ms=now_ms() - age * DAY_MS)
        for name, age in days.items()
    ]
    gone: list[str] = []
    monkeypatch.setattr(files, "list", lambda path: kept if path == paths.ENVIRONMENTS else [])
    monkeypatch.setattr(files, "delete", lambda path, recursive=False: gone.append(path))
    retention.discard()
    assert gone == [f"{paths.ENVIRONMENTS}/{name}" for name in ("old.tar", "old.json", "left.tar.part")]


def test_what_a_job_was_handed_goes_with_the_list_of_its_results(world: World, files: Files) -> None:
    job_id = world.job(world.member())
    handed = paths.handed(paths.stored_folder(job_id, None))
    files.content[f"{handed}/secrets-{job_id}"] = b"x"
    world.end_job(job_id, now_ms() - DAY_MS)
    manifests.list_results()
    assert not [path for path in files.content if "handed" in path]
