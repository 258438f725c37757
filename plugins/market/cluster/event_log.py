"""Spark's event log in HDFS: when executors came and went and when tasks ran, as the driver says.

The program writes it, with its owner's rights: what is read is bounded in size, and each line is only a claim
of the right form.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import zstandard

from market.cluster.errors import ClusterRefused
from market.cluster.hdfs import Hdfs
from market.kit.text import parsed_storable

_MAX_BYTES = 64 << 20  # decompressed, of all files of a log together
_MAX_FILES = 20
_MAX_LINE = 1 << 20  # bytes; the end of a longer one, which is no executor's, is not read
_MAX_LIVES = 10_000
_MAX_TASKS = 20_000
_LATEST_MS = 1 << 53
_MAX_HOST = 255  # characters of a name
_FILE = re.compile(r"events_(\d+)_.*")
_ADDED, _REMOVED = b'"SparkListenerExecutorAdded"', b'"SparkListenerExecutorRemoved"'
_TASK_ENDED = b'"SparkListenerTaskEnd"'
_HEAD = 60  # an event's name is the first thing in its line

T = TypeVar("T")


@dataclass(frozen=True)
class ExecutorLife:
    """An executor as the driver logged it; `removed_ms` None: until the program's end."""

    container_id: str
    node_id: str
    added_ms: int
    removed_ms: int | None


@dataclass(frozen=True)
class Task:
    """When a task took a core of an executor, epoch ms."""

    start_ms: int
    end_ms: int


def beginning(application_id: str) -> str:
    """Return what the names of an application's logs begin with; the number of its attempt follows."""
    return f"eventlog_v2_{application_id}_"


def executor_lives(
    hdfs: Hdfs, folders: Sequence[str], application_id: str, attempt: int
) -> list[ExecutorLife]:
    """Return the executors of the log of an application's attempt, none if there is no log that can be read.

    It lies in one of the folders. Raises ClusterUnavailable when HDFS does not answer.
    """
    found = _read(hdfs, folders, application_id, attempt, (_ADDED, _REMOVED), _lives)
    return found[0] if found else []


def tasks(hdfs: Hdfs, folders: Sequence[str], application_id: str, attempt: int) -> list[Task] | None:
    """Return the tasks of the same log as they began; None where not all of them can be read.

    Raises ClusterUnavailable when HDFS does not answer.
    """
    found = _read(hdfs, folders, application_id, attempt, (_TASK_ENDED,), _tasks)
    return found[0] if found and found[1] else None


@dataclass
class _Bounds:
    """How much may still be read of a log, decompressed, in bytes."""

    left: int


def _read(
    hdfs: Hdfs,
    folders: Sequence[str],
    application_id: str,
    attempt: int,
    events: tuple[bytes, ...],
    meant: Callable[[Iterator[bytes]], T],
) -> tuple[T, bool] | None:
    """Return what the lines of some events mean, and whether they are all; None if no log can be read."""
    for place in folders:
        folder, bounds = f"{place}/{beginning(application_id)}{attempt}", _Bounds(_MAX_BYTES)
        try:
            files = sorted((int(match[1]), match[0]) for match in _named(hdfs, folder))
            names = [name for _, name in files[:_MAX_FILES]]
            found = meant(_lines(hdfs, folder, names, events, bounds))
            return found, bounds.left > 0 and len(files) <= _MAX_FILES
        except ClusterRefused:
            continue
    return None


def _named(hdfs: Hdfs, folder: str) -> Iterator[re.Match[str]]:
    for file in hdfs.list(folder):
        match = _FILE.fullmatch(file.name)
        if match and not file.is_folder:
            yield match


def _lines(
    hdfs: Hdfs, folder: str, names: list[str], events: tuple[bytes, ...], bounds: _Bounds
) -> Iterator[bytes]:
    """Yield the lines of some events; what is broken ends the reading."""
    for name in names:
        raw = io.BufferedReader(_Chunks(hdfs.open(f"{folder}/{name}")))
        stream: Any = raw
        if name.endswith(".zstd"):
            stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        rest = b""
        try:
            while bounds.left > 0 and (part := stream.read(1 << 16)):
                bounds.left -= len(part)
                *whole, rest = (rest + part).split(b"\n")
                rest = rest[:_MAX_LINE]
                yield from (line for line in whole if any(event in line[:_HEAD] for event in events))
        except zstandard.ZstdError:
            return


class _Chunks(io.RawIOBase):
    """Chunks of bytes as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _lives(lines: Iterator[bytes]) -> list[ExecutorLife]:
    added: dict[str, tuple[str, str, int]] = {}
    removed: dict[str, int] = {}
    for line in lines:
        try:
            event: Any = parsed_storable(line)
            number, at_ms = str(event["Executor ID"]), event["Timestamp"]
            if type(at_ms) is not int or not 0 <= at_ms <= _LATEST_MS:
                continue
            if event["Event"] == "SparkListenerExecutorRemoved":
                removed[number] = at_ms
                continue
            info = event["Executor Info"]["Attributes"]
            node = f"{str(info['NM_HOST'])[:_MAX_HOST]}:{int(info['NM_PORT'])}"
            added.setdefault(number, (str(info["CONTAINER_ID"])[:_MAX_HOST], node, at_ms))
        except (ValueError, KeyError, TypeError, OverflowError):
            continue
        if len(added) >= _MAX_LIVES:
            break
    return [ExecutorLife(*life, removed.get(number)) for number, life in added.items()]


def _tasks(lines: Iterator[bytes]) -> list[Task] | None:
    found: list[Task] = []
    for line in lines:
        try:
            event: Any = parsed_storable(line)
            info = event["Task Info"]
            start_ms, end_ms = info["Launch Time"], info["Finish Time"]
        except (ValueError, KeyError, TypeError):
            continue
        if type(start_ms) is int and type(end_ms) is int and 0 <= start_ms <= end_ms <= _LATEST_MS:
            if len(found) >= _MAX_TASKS:
                return None
            found.append(Task(start_ms, end_ms))
    return sorted(found, key=lambda task: task.start_ms)
