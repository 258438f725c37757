"""Spark's event logs lie in the job's folder while it runs, and then with the market's history server."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from ledger_world import World

from market.cluster.errors import ClusterRefused, HdfsNotFound
from market.cluster.hdfs import FileStatus, Summary
from market.hadoop import paths
from market.jobs import store
from market.jobs.life import status
from market.jobs.output import event_logs
from market.jobs.store import Job
from market.kit import clock, settings

pytestmark = pytest.mark.database

MIB = 1 << 20


@dataclass
class Logs:
    """Folders of HDFS by their path: size in MiB, owner, group and mode."""

    there: dict[str, tuple[int, str, str, str]] = field(default_factory=dict)

    def list(self, folder: str) -> list[FileStatus]:
        names = [path.rpartition("/")[2] for path in self.there if path.rpartition("/")[0] == folder]
        if not names:
            raise HdfsNotFound(folder)
        return [FileStatus(name, 0, True, 0, "700", "") for name in names]

    def content_summary(self, path: str) -> Summary:
        return Summary(1, 1, 0, self.there[path][0] * MIB, -1, -1)

    def set_owner(self, path: str, owner: str, group: str | None = None) -> None:
        size, _, _, mode = self.there[path]
        self.there[path] = size, owner, group or "", mode

    def set_permission(self, path: str, permission: str) -> None:
        self.there[path] = (*self.there[path][:3], permission)

    def appear(self, path: str, target: str) -> None:
        if target in self.there:
            raise ClusterRefused("it is there")
        self.there[target] = self.there.pop(path)

    def delete(self, path: str, recursive: bool = False) -> bool:
        for gone in [name for name in self.there if name.startswith(f"{path}/")]:
            del self.there[gone]
        return True


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Logs:
    made = Logs()
    monkeypatch.setattr(event_logs, "hdfs", lambda: made)
    return made


@pytest.fixture
def job(world: World) -> Job:
    """Return a job whose only run had the application application_1_0001."""
    job_id = world.job(world.member(), at=clock.now_ms())
    world.stand(job_id, "submitted")
    assert status.claim(job_id)
    assert status.hand_over(job_id)
    status.submitted(job_id, "application_1_0001")
    found = store.find(job_id)
    assert found is not None
    return found


def test_the_log_becomes_the_market_s_and_nothing_else_is_moved(logs: Logs, job: Job) -> None:
    own, theirs = paths.events(job.folder), (1, job.username, "", "770")
    logs.there = {
        f"{own}/eventlog_v2_application_1_0001_1": theirs,
        f"{own}/eventlog_v2_application_1_00012_1": theirs,  # another's
        f"{own}/a film": theirs,
    }
    event_logs.keep(job)
    account = settings.load().service.account
    kept = {f"{paths.EVENT_LOGS}/eventlog_v2_application_1_0001_1": (1, account, job.username, "700")}
    assert logs.there == kept
    event_logs.keep(job)
    assert logs.there == kept


def test_a_log_that_would_take_the_others_place_goes(logs: Logs, job: Job) -> None:
    logs.there = {f"{paths.events(job.folder)}/eventlog_v2_application_1_0001_1": (257, "", "", "")}
    event_logs.keep(job)
    assert logs.there == {}


def test_one_that_is_there_already_stays_as_it_is(logs: Logs, job: Job) -> None:
    name = "eventlog_v2_application_1_0001_1"
    there = {f"{paths.EVENT_LOGS}/{name}": (1, "market", "x", "700")}
    logs.there = there | {f"{paths.events(job.folder)}/{name}": (1, "", "", "")}
    event_logs.keep(job)
    assert logs.there == there
