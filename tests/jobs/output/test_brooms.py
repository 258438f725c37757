"""What the brooms take out of the folders that everybody may write to, and what they leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from ledger_world import World

from market.cluster.errors import ClusterRefused, HdfsNotFound
from market.cluster.hdfs import FileStatus, Summary, Usage
from market.hadoop import paths
from market.jobs import kept_files, store
from market.jobs.output import brooms
from market.kit import settings
from market.kit.clock import now_ms

pytestmark = pytest.mark.database

DAY_MS = 86_400_000
MIB = 1 << 20


@dataclass
class Shared:
    """Folders of HDFS: for each entry its owner, its age in days and its size in MiB."""

    entries: dict[str, tuple[str, float, int]] = field(default_factory=dict)
    quota_mib: int = 100
    quota_names: int = 1000
    stuck: str = ""

    def list(self, folder: str) -> list[FileStatus]:
        found = list(self._within(folder))
        if not found and folder not in self.entries:
            raise HdfsNotFound(folder)
        return found

    def _within(self, folder: str) -> Iterator[FileStatus]:
        for path, (owner, days, _) in self.entries.items():
            if path.rpartition("/")[0] == folder:
                at_ms = now_ms() - int(days * DAY_MS)
                account = settings.load().service.account if folder == paths.EVENT_LOGS else owner
                yield FileStatus(path.rpartition("/")[2], 0, True, at_ms, "755", account, group=owner)

    def usage(self, folder: str) -> Usage:
        sizes = [size for path, (_, _, size) in self.entries.items() if path.startswith(f"{folder}/")]
        return Usage(len(sizes), sum(sizes) * MIB, self.quota_names, self.quota_mib * MIB)

    def content_summary(self, path: str) -> Summary:
        size = self.entries[path][2] * MIB
        return Summary(0, 1, size, size, -1, -1)

    def delete(self, path: str, recursive: bool = False) -> bool:
        if path == self.stuck:
            raise ClusterRefused("it cannot be deleted")
        return self.entries.pop(path, None) is not None


@pytest.fixture
def shared(world: World, monkeypatch: pytest.MonkeyPatch) -> Shared:
    made = Shared()
    for module in (brooms, kept_files):
        monkeypatch.setattr(module, "hdfs", lambda: made)
    return made


def test_what_is_old_goes_and_the_market_s_own_stays(shared: Shared) -> None:
    account = settings.load().service.account
    shared.entries = {
        f"{paths.SCRATCH}/old": ("ann", 8, 1),
        f"{paths.SCRATCH}/young": ("ann", 6, 1),
        f"{paths.SCRATCH}/own": (account, 800, 1),
        f"{paths.EVENT_LOGS}/eventlog_v2_application_1_0001": ("ann", 29, 1),
        f"{paths.EVENT_LOGS}/anything": ("bob", 31, 1),
        f"{paths.container_logs('ann')}": ("ann", 400, 0),
        f"{paths.container_logs('ann')}/bucket-logs-tfile": ("ann", 100, 1),
        f"{paths.container_logs('ann')}/a film": ("ann", 31, 1),
        f"{paths.STAGING}/spark": ("spark", 100, 0),
        f"{paths.STAGING}/spark/.sparkStaging": ("spark", 100, 0),
        f"{paths.STAGING}/spark/.sparkStaging/application_1_0001": ("spark", 8, 1),
        f"{paths.STAGING}/spark/.sparkStaging/application_1_0002": ("spark", 1, 1),
    }
    before = set(shared.entries)
    brooms.sweep()
    assert before - set(shared.entries) == {
        f"{paths.SCRATCH}/old",
        f"{paths.EVENT_LOGS}/anything",
        f"{paths.container_logs('ann')}/a film",
        f"{paths.STAGING}/spark/.sparkStaging/application_1_0001",
    }


def test_who_fills_a_shared_folder_loses_what_he_put_there(shared: Shared) -> None:
    shared.entries = {
        f"{paths.SCRATCH}/ann": ("ann", 5, 10),
        **{f"{paths.SCRATCH}/mallory-{number}": ("mallory", 4 - number / 10, 10) for number in range(8)},
    }
    brooms.sweep()
    left = sorted(path.removeprefix(f"{paths.SCRATCH}/") for path in shared.entries)
    assert left == ["ann", "mallory-4", "mallory-5", "mallory-6", "mallory-7"], "the oldest first, to half"
    brooms.sweep()
    assert len(shared.entries) == 5


def test_names_count_as_bytes_do(shared: Shared) -> None:
    shared.quota_names = 6
    shared.entries = {f"{paths.SCRATCH}/m{number}": ("mallory", 1, 0) for number in range(5)}
    shared.entries[f"{paths.SCRATCH}/ann"] = ("ann", 2, 20)
    brooms.sweep()
    assert f"{paths.SCRATCH}/ann" in shared.entries
    assert len(shared.entries) == 3


def test_one_that_cannot_be_deleted_keeps_no_other(shared: Shared, world: World) -> None:
    shared.entries = {f"{paths.SCRATCH}/{name}": ("ann", 9, 1) for name in ("a", "b", "c")}
    shared.stuck = f"{paths.SCRATCH}/a"
    brooms.sweep()
    assert list(shared.entries) == [shared.stuck]
    assert world.one("SELECT failures FROM setback WHERE subject = %s", shared.stuck) == 1


def test_copies_of_large_files_stay_for_a_day_and_while_a_job_has_them(shared: Shared, world: World) -> None:
    job = store.find(world.job(world.member(), at=now_ms()))
    assert job is not None
    needed, unused, young = ("1" * 32, "2" * 32, "3" * 32)
    kept, home = paths.kept(job.username), paths.home(job.username)
    shared.entries = {home: (job.username, 100, 0), kept: (job.username, 100, 0)}
    for name, days in ((needed, 40.0), (unused, 2.0), (young, 0.5)):
        shared.entries[f"{kept}/{name}"] = (job.username, days + 10, 0)
        shared.entries[f"{kept}/{name}/env.tar.gz"] = (job.username, days, 1)
    shared.entries[f"{kept}/{'4' * 32}.part"] = (job.username, 2, 0)
    shared.entries[f"{paths.kept_marks(job.folder)}/{kept_files.mark(0, needed)}"] = (job.username, 40, 0)
    brooms.sweep()
    left = {path.removeprefix(f"{kept}/") for path in shared.entries if path.startswith(f"{kept}/")}
    assert {name for name in left if "/" not in name} == {needed, young}
    world.end_job(job.job_id, now_ms())
    brooms.sweep()
    assert f"{kept}/{needed}" not in shared.entries
