"""What outlived its supervisor is found by its mark and ended, also when it ignores the polite way."""

import os
import subprocess
import sys

from market.stack import leftovers

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


def start(state, program):
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "MARKET_STACK": str(state)},
        stdout=subprocess.PIPE,
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
