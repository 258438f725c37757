"""Processes that outlived their supervisor: known by the process tag that all processes of a stack carry.

The tag is a variable of their environment. The api-server and the workers of Airflow write their titles over
theirs, so that nothing of it is left to read: those are known by the folder that services run in.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

_PATIENCE_S = 10


def find(state: Path) -> list[int]:
    """Return the ids of the processes of the stack in `state`, except this one and its parents."""
    tag, folder = f"MARKET_STACK={state}".encode(), str(state / "run")
    own = lineage(os.getpid())
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in own:
            continue
        try:
            environment = (entry / "environ").read_bytes()
            if tag in environment.split(b"\0") or (
                b"=" not in environment and os.readlink(entry / "cwd") == folder
            ):
                pids.append(int(entry.name))
        except OSError:
            continue  # ended meanwhile, or another user's
    return sorted(pids)


def stop(state: Path) -> int:
    """End them, by force if they do not end when told; return how many there were."""
    pids = find(state)
    for sent in (signal.SIGTERM, signal.SIGKILL):
        for pid in find(state):
            _send(pid, sent)
        until = time.monotonic() + _PATIENCE_S
        while find(state) and time.monotonic() < until:
            time.sleep(0.1)
    return len(pids)


def take_over(state: Path, service: str) -> None:
    """End what an earlier process of a service left when it was killed, and note this one for the next.

    Airflow's scheduler leaves its workers. With each of them its connections to the database stay open: what
    it had locked stays locked, and no scheduler starts a task any more. They are known by their process
    group, whose leader is gone.
    """
    note = _note(state, service)
    earlier = _noted(note)
    until = time.monotonic() + _PATIENCE_S
    while (left := _orphans(state, earlier)) and time.monotonic() < until:
        for pid in left:
            _send(pid, signal.SIGKILL)
        time.sleep(0.05)
    note.write_text(str(os.getpgrp()))


def leader(state: Path, service: str) -> int:
    """Return the id of a service's process, as it was noted at its start; 0 when none was."""
    return _noted(_note(state, service))


def started(state: Path, service: str) -> float | None:
    """Return when a service's process started (Unix time, s); None when it has ended, or is not yet there."""
    note = _note(state, service)
    group = _noted(note)
    return note.stat().st_mtime if group and Path(f"/proc/{group}").exists() else None


def _note(state: Path, service: str) -> Path:
    return state / "run" / f"{service}.group"


def _noted(note: Path) -> int:
    """Return the process group in a note, which is its leader's id; 0 when there is none."""
    text = note.read_text() if note.exists() else ""
    return int(text) if text.isdecimal() else 0  # a power cut may leave an empty file


def _orphans(state: Path, group: int) -> list[int]:
    """Return the stack's processes in a group whose leader has ended."""
    if not group or Path(f"/proc/{group}").exists():
        return []
    return [pid for pid in find(state) if _group(pid) == group]


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _send(pid: int, sent: signal.Signals) -> None:
    try:
        os.kill(pid, sent)
    except ProcessLookupError:
        return


def lineage(pid: int) -> set[int]:
    """Return a process and those that it comes from; none once it has ended."""
    found: set[int] = set()
    try:
        while pid > 1:
            found.add(pid)
            pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except FileNotFoundError:
        return set()
    return found
