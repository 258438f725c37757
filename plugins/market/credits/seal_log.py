"""The seals outside the database: a file that only grows, and its copy in HDFS.

Whoever may write to the database can change rows and compute all seals anew, and `verify_ledger()` finds
nothing. What was published before still says what was sealed. Each line is one of

    seal INTERVAL ROWS SHA256   an interval was sealed, with so many rows
    restored INTERVAL TIME      the database was brought back to a time when this was the last interval that
                                is published above (0: none); what is there of later ones holds no more
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from market.cluster.clients import hdfs
from market.cluster.hdfs import Hdfs
from market.kit import alerts, database, settings
from market.kit.database import Cursor

IN_HDFS = "/market/seals/seals.log"
_MODE = "700"
_AT_A_TIME = 2_000  # lines of one pass
_TAIL_BYTES = 4_096  # more than a line
_COPIED_BYTES = 1 << 20  # of one pass
_SEAL, _RESTORED = "seal", "restored"


@dataclass(frozen=True)
class Sealed:
    """A line of the log: an interval, how many rows its seal covers, and the seal in hexadecimal."""

    interval_id: int
    row_count: int
    sha256: str


@dataclass(frozen=True)
class Published:
    """What a log says: the seals that hold, the last restores, and the lines that mean nothing."""

    seals: dict[int, Sealed]
    restores: list[str]
    unreadable: list[int]


def run_pass() -> None:
    """Publish new seals, in the file and in HDFS; for the loop that does so all the time.

    Raises ClusterUnavailable when HDFS does not answer; the file has them then.
    """
    log = settings.load().paths.seal_log
    with database.transaction() as cursor:
        publish(cursor, log)
    trouble = copy(log, hdfs())
    if trouble:
        with database.transaction() as cursor:
            alerts.raise_once(cursor, alerts.SEAL_LOG, IN_HDFS, trouble)


def publish(cursor: Cursor, log: Path) -> int:
    """Append the seals that the log does not have yet; return how many."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    cursor.execute(
        "SELECT interval_id, row_count, encode(sha256, 'hex') AS sha256 FROM seal WHERE interval_id > %s"
        " ORDER BY interval_id LIMIT %s",
        [_last_interval(log), _AT_A_TIME],
    )
    lines = [f"{_SEAL} {row.interval_id} {row.row_count} {row.sha256}" for row in cursor.fetchall()]
    _append(log, lines)
    return len(lines)


def note_restore(log: Path, last_interval: int, at: str) -> None:
    """Write down that the database ends with this interval again; `at` is the time that it was brought to.

    What it has sealed, and had not published yet, is published by the next pass.
    """
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _append(log, [f"{_RESTORED} {min(last_interval, _last_interval(log))} {at}"])


def copy(log: Path, files: Hdfs) -> str:
    """Append to the copy in HDFS what it lacks; return what is wrong with it, in words (empty: nothing).

    A copy that is longer than the file is never cut: somebody took lines away from the file.
    """
    status = files.status(IN_HDFS)
    if status is None:
        files.mkdirs(IN_HDFS.rpartition("/")[0], permission=_MODE)
        files.create(IN_HDFS, [])
    there = status.size if status else 0
    here = log.stat().st_size if log.exists() else 0
    if there > here:
        return (
            f"The copy has {there} bytes, and {log} only {here}: lines were taken away, or the file is older."
        )
    if there < here:
        with log.open("rb") as source:
            source.seek(there)
            files.append(IN_HDFS, source.read(_COPIED_BYTES))
    return ""


def read(log: Path) -> Published:
    """Return what a log says; nothing if there is none."""
    said = Published({}, [], [])
    content = log.read_bytes() if log.exists() else b""
    for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
        words = line.split(" ")
        try:
            if words[0] == _SEAL and len(words) == 4:
                interval_id = int(words[1])
                said.seals[interval_id] = Sealed(interval_id, int(words[2]), words[3])
            elif words[0] == _RESTORED and len(words) == 3:
                last = int(words[1])
                for later in [one for one in said.seals if one > last]:
                    del said.seals[later]
                said.restores.append(f"to {words[2]}, where interval {last} was the last")
            else:
                said.unreadable.append(number)
        except ValueError:
            said.unreadable.append(number)
    return said


def differences(cursor: Cursor, said: Published) -> list[str]:
    """Return a line for each published seal that the database does not have as it was published.

    The log is to be read before the cursor's snapshot is taken: what is sealed meanwhile is not missing then.
    """
    cursor.execute("SELECT interval_id, row_count, encode(sha256, 'hex') AS sha256 FROM seal")
    kept = {row.interval_id: Sealed(*row) for row in cursor.fetchall()}
    wrong = [f"line {number} of the published seals says nothing" for number in said.unreadable]
    last = max(said.seals, default=0)
    for interval_id in sorted({*said.seals, *(one for one in kept if one <= last)}):
        then, now = said.seals.get(interval_id), kept.get(interval_id)
        if then is None:
            wrong.append(f"interval {interval_id}: seal {interval_id}: was never published")
        elif now is None:
            wrong.append(f"interval {interval_id}: seal {interval_id}: published, and missing")
        elif now != then:
            wrong.append(f"interval {interval_id}: seal {interval_id}: not as it was published")
    return wrong


def copy_differs(log: Path, files: Hdfs) -> list[str]:
    """Return a line if the copy in HDFS is no beginning of the file. Raises ClusterUnavailable."""
    found = files.file(IN_HDFS)
    if found is None:
        return []
    with log.open("rb") if log.exists() else open(os.devnull, "rb") as source:
        for chunk in found.chunks():
            if source.read(len(chunk)) != chunk:
                return [f"{IN_HDFS} in HDFS is not as {log}: one of them was changed"]
    return []


def _last_interval(log: Path) -> int:
    """Return the last interval that holds, by the end of the log: it is not read from its beginning."""
    if not log.exists():
        return 0
    with log.open("rb") as source:
        source.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        whole = source.read().rpartition(b"\n")[0].splitlines()
    return int(whole[-1].split(b" ")[1]) if whole else 0


def _append(log: Path, lines: Iterable[str]) -> None:
    """Append whole lines and have them on the disk. What a write that was cut off has left is taken away."""
    content = "".join(f"{line}\n" for line in lines).encode()
    if not content:
        return
    descriptor = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        if tail and not tail.endswith(b"\n"):
            os.ftruncate(descriptor, size - len(tail) + tail.rfind(b"\n") + 1)
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
