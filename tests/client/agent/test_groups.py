"""Control groups end as a whole, on kernels with and without a file for that."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from people import until

from distributedmarket.agent import groups


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Path]:
    found = groups.usable(tmp_path)
    if found is None:
        pytest.skip("this host lets nobody make control groups")
    yield found
    assert not found.exists()


def test_a_group_ends_with_all_in_it(parent: Path, sleeper: subprocess.Popen[bytes]) -> None:
    group = groups.make(parent, sleeper.pid)
    until(lambda: groups.end(group), "the group's end", 5)
    assert sleeper.wait(5) == -signal.SIGKILL
    assert groups.end(group), "a second time does no harm"


def test_what_a_guard_has_left_ends(tmp_path: Path, parent: Path, sleeper: subprocess.Popen[bytes]) -> None:
    group = groups.make(parent, sleeper.pid)
    groups.end_all(tmp_path)
    assert sleeper.wait(5) == -signal.SIGKILL
    assert not group.exists()


def test_a_kernel_without_that_file_has_each_process_killed(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "cgroup.procs").write_text(f"{sleeper.pid}\n")
    assert not groups.end(tmp_path), "not yet empty"
    assert sleeper.wait(5) == -signal.SIGKILL


def test_a_host_without_version_2_has_none(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"cgroup {tmp_path} cgroup rw,cpu 0 0\n")
    assert groups.usable(tmp_path, mounts) is None
    mounts.write_text(f"cgroup2 {tmp_path} cgroup2 rw 0 0\n")
    assert groups.usable(tmp_path, mounts) is None, "no kernel is behind this folder"
    assert list(tmp_path.iterdir()) == [mounts]
