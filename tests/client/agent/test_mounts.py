"""Mounts of a container's own, in a namespace that its first process shares."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from market.kit import settings

# Somebody of the same namespace opens a file for writing over and over: as reading does, for a moment.
CLOSES = """
import os, sys, threading, time
from pathlib import Path
from distributedmarket.agent import mounts, spaces

uid, gid = os.getuid(), os.getgid()
spaces.leave()
spaces.keep_account(uid, gid)
if child := os.fork():  # the process namespace is the children's
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
mounts.part_from_host()
top, ended = Path(sys.argv[1]), []

def write(place):
    while not ended:
        try:
            for _ in range(20):
                open(place / "file", "w").close()
            time.sleep(0.0005)
        except OSError:  # it is closed
            return

refused = 0
for number in range(20):
    place = top / str(number)
    place.mkdir()
    mounts.cover(place, "mode=755,size=1m")
    writer = threading.Thread(target=write, args=(place,), daemon=True)
    writer.start()
    time.sleep(0.01)
    mounts.close(place)
    try:
        open(place / "file", "w").close()
    except OSError:
        refused += 1
    writer.join(10)
held = top / "held"
held.mkdir()
mounts.cover(held, "mode=755,size=1m")
mounts._PATIENCE_S = 0.2
with open(held / "file", "w"):
    try:
        mounts.close(held)
    except OSError as error:
        print(refused, error.strerror)
"""


def test_a_mount_is_closed_as_soon_as_nobody_writes_there(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CLOSES, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(settings.ROOT / "client")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if "unshare: Operation not permitted" in done.stderr:
        pytest.skip("this host forbids namespaces")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=1)[0] == "20"
    assert "busy" in done.stdout
