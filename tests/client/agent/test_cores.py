"""A machine is held to what is lent of its host's processors, from its start and after a resize."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from agents import command_line
from people import until

from distributedmarket.agent import process_tags
from distributedmarket.agent.cores import Cores, Group, _groups, forget

ALL = sorted(os.sched_getaffinity(0))
# Two processes that never rest, and take what affinity they are told to.
GREEDY = """
import os, sys, time
os.fork()
os.sched_setaffinity(0, [*map(int, filter(None, sys.argv[1].split(",")))] or os.sched_getaffinity(0))
end = time.monotonic() + 2
while time.monotonic() < end:
    pass
if os.getppid() == int(sys.argv[2]):
    os.wait()
"""


@pytest.fixture
def machine(tmp_path):
    """Return a function that starts a command as part of a machine; all ends with the test."""
    started = []

    def start(cores: Cores, folder: Path, *words: str) -> subprocess.Popen[bytes]:
        variables = {**os.environ, process_tags.VARIABLE: str(folder)}
        whole = [*cores.words(os.getpid(), signal.SIGKILL), *words]
        started.append(subprocess.Popen(whole, env=variables))
        until(lambda: command_line(started[-1].pid)[:1] == [words[0]] or started[-1].poll(), "it runs", 10)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
    for folder in (tmp_path, *tmp_path.iterdir()):
        forget(folder)


def test_what_is_started_and_what_runs_is_held(machine, tmp_path) -> None:
    cores = Cores(tmp_path)
    cores.hold(1)
    description = cores.description
    process = machine(cores, tmp_path, "sleep", "600")
    assert len(os.sched_getaffinity(process.pid)) == 1
    cores.hold(len(ALL))
    assert sorted(os.sched_getaffinity(process.pid)) == ALL
    assert f"held to 1 of {len(ALL)} cores" in description
    assert cores.description == "with all cores of this host"
    cores.hold(1)
    assert len(os.sched_getaffinity(process.pid)) == 1


def test_machines_of_one_host_share_its_processors_evenly(machine, tmp_path) -> None:
    held = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        cores = Cores(tmp_path / name)
        cores.hold(1)
        process = machine(cores, tmp_path / name, "sleep", "600")
        held.append(os.sched_getaffinity(process.pid))
    assert held[0] != held[1]


@pytest.mark.parametrize("widens", [False, True])
def test_two_greedy_processes_get_one_processor_s_time(machine, tmp_path, widens) -> None:
    cores = Cores(tmp_path)
    cores.hold(1)
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    wished = ",".join(map(str, ALL)) if widens else ""
    words = (sys.executable, "-c", GREEDY, wished, str(os.getpid()))
    assert machine(cores, tmp_path, *words).wait(60) == 0
    now, passed = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    taken = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    # Who widens his affinity gets more only where the agent says that he can.
    assert taken < 1.2 * passed or (widens and "which a program may widen" in cores.description)


def test_what_an_agent_that_was_killed_left_is_removed(tmp_path) -> None:
    table = mounted(tmp_path, "cgroup2", "rw")
    (left,) = _groups(tmp_path, table)
    left.folder.mkdir()
    forget(tmp_path, table)
    assert not left.folder.exists()


def mounted(folder: Path, kind: str, options: str) -> Path:
    """Return a table of mounts with one place for groups."""
    place = folder / "groups"
    place.mkdir()
    table = folder / "mounts"
    table.write_text(f"proc /proc proc rw 0 0\nnone {place} {kind} {options} 0 0\n")
    return table


@pytest.mark.parametrize(
    ("kind", "files", "limit"),
    [
        ("cgroup2", ["cpu.max"], {"cpu.max": "100000 100000"}),
        (
            "cgroup",
            ["cpu.cfs_period_us", "cpu.cfs_quota_us"],
            {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "100000"},
        ),
    ],
)
def test_both_versions_of_control_groups_are_limited(kind, files, limit, tmp_path, monkeypatch) -> None:
    made = Path.mkdir

    def kernel(folder: Path, **options: object) -> None:
        made(folder, **options)
        for name in (*files, "cgroup.procs"):
            (folder / name).touch()

    table = mounted(tmp_path, kind, "rw,cpu")
    monkeypatch.setattr(Path, "mkdir", kernel)
    cores = Cores(tmp_path, table)
    cores.hold(1)
    (group,) = (tmp_path / "groups").iterdir()
    assert {name: (group / name).read_text() for name in files} == limit
    assert cores.description == f"held to 1 of {len(ALL)} cores"
    cores.hold(len(ALL))
    assert (group / files[-1]).read_text() in ("max 100000", "-1")


def test_where_no_group_has_a_limit_affinity_is_left_and_said(tmp_path) -> None:
    cores = Cores(tmp_path, mounted(tmp_path, "cgroup2", "rw"))
    cores.hold(1)
    assert "by affinity alone" in cores.description
    assert list((tmp_path / "groups").iterdir()) == []


def test_where_the_group_above_allows_less_affinity_is_left_and_said(tmp_path, monkeypatch) -> None:
    def limit(group: Group, cores: int | None) -> None:
        if cores is not None:
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(Group, "limit", limit)
    monkeypatch.setattr(Group, "try_out", lambda group: None)
    cores = Cores(tmp_path, mounted(tmp_path, "cgroup2", "rw"))
    cores.hold(1)
    assert "by affinity alone" in cores.description
