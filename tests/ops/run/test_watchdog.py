"""What stands still is ended, and nothing else: with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from servers import answering

from market.kit import settings
from market.ops.run import watchdog
from market.ops.run.watchdog import Watchdog

Start = Callable[..., subprocess.Popen[bytes]]
WAITS = "import time; print(1, flush=True); time.sleep(600)"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.fixture
def start(state: Path) -> Iterator[Start]:
    """Start a process of the stack, as the process manager does: without a terminal."""
    started = []

    def start(program: str = WAITS, **variables: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "MARKET_STACK": str(state), **variables},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def looks(over_s: float) -> list[int]:
    """Look for some time; return what was killed."""
    dog = Watchdog(settings.load())
    dog._frozen_s = 0.3
    until, killed = time.monotonic() + over_s, []
    while time.monotonic() < until:
        killed += dog.look()
        time.sleep(0.02)
    return killed


def test_what_stands_still_is_killed_and_nothing_else(start: Start, tmp_path: Path) -> None:
    well, frozen = start(), start()
    others = [
        start(MARKET_STACK=str(tmp_path / "other")),
        start(MARKET_MACHINE=str(tmp_path / "machines/one")),
    ]
    for process in (frozen, *others):
        os.kill(process.pid, signal.SIGSTOP)
    assert looks(1.0) == [frozen.pid]
    assert frozen.wait(10) == -signal.SIGKILL
    assert [process.poll() for process in (well, *others)] == [None] * 3


AGENT = """
import os, subprocess, sys, time
variables = {**os.environ, "MARKET_MACHINE": "/somewhere/machines/one"}
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=variables)
print(1, flush=True)
time.sleep(600)
"""


def test_an_agent_is_spared_with_its_machine(start: Start) -> None:
    """With the agent its NodeManager would end, and the jobs there; they go on while it stands still."""
    agent = start(program=AGENT)
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        assert looks(1.0) == []
        assert agent.poll() is None
    finally:
        os.killpg(agent.pid, signal.SIGKILL)


def test_what_wakes_in_time_goes_on(start: Start) -> None:
    process = start()
    dog = Watchdog(settings.load())
    dog._frozen_s = 0.5
    for _ in range(3):
        os.kill(process.pid, signal.SIGSTOP)
        dog.look()
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGCONT)
        until = time.monotonic() + 10
        while watchdog._stopped(process.pid) is not None:
            assert time.monotonic() < until
        assert dog.look() == []


def test_a_silent_triggerer_is_killed_after_a_while(
    start: Start, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "_SILENT_S", 0.3)
    triggerer = start()
    (state / "run" / "triggerer.group").write_text(str(triggerer.pid))
    said = {"status": "healthy", "latest_triggerer_heartbeat": datetime.now(UTC).isoformat()}
    with answering(lambda path, headers: (200, {}, json.dumps({"triggerer": said}).encode())) as port:
        assert looks(0.6) == [], "nobody can say that it is silent"
        (state / "run" / "ports.json").write_text(json.dumps({"api": port}))
        assert looks(0.6) == []
        said["status"] = "unhealthy"
        assert looks(1.0) == [triggerer.pid]
        triggerer.wait(10)
        another = start(MARKET_STACK="/another/stack")
        (state / "run" / "triggerer.group").write_text(str(another.pid))
        assert looks(0.6) == [], "a note of long ago may name anybody"
