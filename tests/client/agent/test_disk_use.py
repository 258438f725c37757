"""What an application holds of a machine's disk is counted, wherever it puts it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from distributedmarket.agent import disk_use
from distributedmarket.agent.disk_use import Limit

MIB = 1 << 20
ONE, OTHER = "application_1_0001", "application_1_0002"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "local/usercache/ann/appcache" / ONE / "container_1"
    made.mkdir(parents=True)
    return made


def test_files_and_logs_and_deleted_files_count_together(tmp_path: Path, folder: Path) -> None:
    logs = tmp_path / "logs" / ONE
    logs.mkdir(parents=True)
    (folder / "shuffled").write_bytes(bytes(MIB))
    (logs / "stdout").write_bytes(bytes(MIB))
    (folder / "link").symlink_to("/")
    with (folder / "gone").open("wb") as hidden:
        hidden.write(bytes(MIB))
        hidden.flush()
        (folder / "gone").unlink()
        alone = {ONE: {os.getpid()}}
        assert Limit(tmp_path, 4).exceeded(alone) == []
        assert Limit(tmp_path, 2).exceeded(alone) == [ONE]
        assert Limit(tmp_path, 2).exceeded({OTHER: set()}) == []
    assert Limit(tmp_path, 2).exceeded(alone | {OTHER: set()}) == [ONE], "folders take some blocks, too"


def test_what_cannot_be_counted_is_too_much(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (folder / str(number)).touch()
    monkeypatch.setattr(disk_use, "_MAX_ENTRIES", 19)
    assert Limit(tmp_path, 100).exceeded({ONE: set()}) == [ONE]
    monkeypatch.undo()
    before = Path.cwd()
    os.chdir(folder)
    try:  # a path that is longer than the system takes
        for _ in range(25):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        Path("hidden").touch()
    finally:
        os.chdir(before)
    assert Limit(tmp_path, 100).exceeded({ONE: set()}) == [ONE]


@pytest.mark.parametrize(
    ("free_mib", "stopped"),
    [(600, []), (98, [ONE]), (10, [ONE]), (0, [])],
    ids=["room", "almost full", "full", "full without them as well"],
)
def test_who_holds_most_of_a_disk_that_jobs_have_filled_is_stopped(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, free_mib: int, stopped: list[str]
) -> None:
    """YARN would stop all of them, and none would be charged."""
    monkeypatch.setattr(Limit, "_held", lambda self, name, pids: {ONE: 90, OTHER: 2}[name] * MIB)
    disk = SimpleNamespace(f_blocks=1000, f_frsize=MIB, f_bavail=free_mib)
    monkeypatch.setattr(os, "statvfs", lambda path: disk)
    limit = Limit(tmp_path, 500, percent=92, free_mib=50)
    assert limit.exceeded({ONE: set(), OTHER: set()}) == stopped
