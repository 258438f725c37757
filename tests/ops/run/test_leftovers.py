"""What outlived its supervisor is found by its mark and ended, also when it ignores the polite way."""

import os
import subprocess
import sys

from people import until

from market.ops.run import leftovers

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


def start(state, program, cwd=None, **options):
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=cwd,
        env={**os.environ, "MARKET_STACK": str(state)},
        stdout=subprocess.PIPE,
        **options,
    )
    process.stdout.readline()
    return process


def test_only_processes_of_this_stack_are_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(leftovers, "_PATIENCE_S", 0.5)
    mine = start(tmp_path / "mine", STUBBORN)
    other = start(tmp_path / "other", STUBBORN)
    try:
        assert leftovers.find(tmp_path / "mine") == [mine.pid]
        assert leftovers.stop(tmp_path / "mine") == 1
        assert mine.wait(10) != 0
        assert other.poll() is None
    finally:
        for process in (mine, other):
            process.kill()
            process.wait()
            process.stdout.close()


RENAMED = """
import time
from setproctitle import setproctitle
setproctitle("airflow worker " + "x" * 100000)
print("up", flush=True)
time.sleep(600)
"""


def test_a_process_that_wrote_over_its_mark_is_found_by_its_folder(tmp_path):
    folders = {name: tmp_path / name / "run" for name in ("mine", "other")}
    processes = {}
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        processes[name] = start(tmp_path / name, RENAMED, cwd=folder)
    shell = start(tmp_path / "none", STUBBORN, cwd=folders["mine"])
    try:
        assert leftovers.find(tmp_path / "mine") == [processes["mine"].pid]
    finally:
        for process in (*processes.values(), shell):
            process.kill()
            process.wait()
            process.stdout.close()


LEADER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("up", flush=True)
time.sleep(600)
"""


def test_what_a_killed_service_left_is_ended_by_the_next_one(tmp_path):
    state = tmp_path / "mine"
    (state / "run").mkdir(parents=True)
    leaders = {name: start(state, LEADER, start_new_session=True) for name in ("killed", "alive")}
    for name, leader in leaders.items():
        (state / "run" / f"{name}.group").write_text(str(leader.pid))
    children = {name: child_of(state, leader.pid) for name, leader in leaders.items()}
    try:
        leaders["killed"].kill()
        leaders["killed"].wait()
        (state / "run" / "torn.group").touch()  # as a power cut leaves it
        for name in (*leaders, "torn"):
            leftovers.take_over(state, name)
        assert sorted(leftovers.find(state)) == sorted([leaders["alive"].pid, children["alive"]])
        assert (state / "run" / "killed.group").read_text() == str(os.getpgrp())
    finally:
        leftovers.stop(state)
        for leader in leaders.values():
            leader.wait()
            leader.stdout.close()


def test_a_service_has_started_while_its_process_lives(tmp_path):
    (tmp_path / "run").mkdir()
    note = tmp_path / "run" / "its.group"
    assert leftovers.started(tmp_path, "its") is None
    note.touch()
    assert leftovers.started(tmp_path, "its") is None
    process = start(tmp_path, STUBBORN)
    try:
        note.write_text(str(process.pid))
        os.utime(note, (1_000, 1_000))
        assert leftovers.started(tmp_path, "its") == 1_000
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert leftovers.started(tmp_path, "its") is None


def child_of(state, group):
    """Return it once it carries its mark, which the kernel sets after whoever started it goes on."""
    return until(
        lambda: next(
            (pid for pid in leftovers.find(state) if pid != group and os.getpgid(pid) == group), None
        ),
        "the child of a service",
        10,
    )
