"""Spark's event log in HDFS: when executors came and went, as the driver says.

The program writes it, with its owner's rights: what is read is bounded in size, and each line is only a claim
of the right form.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import zstandard

from market.cluster.errors import ClusterRefused
from market.cluster.hdfs import Hdfs
from market.kit.text import parsed_storable

_MAX_BYTES = 64 << 20  # decompressed, of all files of a log together
_MAX_FILES = 20
_MAX_LINE = 1 << 20  # bytes; the end of a longer one, which is no executor's, is not read
_MAX_LIVES = 10_000
_LATEST_MS = 1 << 53
_MAX_HOST = 255  # characters of a name
_FILE = re.compile(r"events_(\d+)_.*")
_ADDED, _REMOVED = b'"SparkListenerExecutorAdded"', b'"SparkListenerExecutorRemoved"'
_HEAD = 60  # an event's name is the first thing in its line


@dataclass(frozen=True)
class ExecutorLife:
    """An executor as the driver logged it; `removed_ms` None: until the program's end."""

    container_id: str
    node_id: str
    added_ms: int
    removed_ms: int | None


def beginning(application_id: str) -> str:
    """Return what the names of an application's logs begin with; the number of its attempt follows."""
    return f"eventlog_v2_{application_id}_"


def executor_lives(
    hdfs: Hdfs, folders: Sequence[str], application_id: str, attempt: int
) -> list[ExecutorLife]:
    """Return the executors of the log of an application's attempt, none if there is no log that can be read.

    It lies in one of the folders. Raises ClusterUnavailable when HDFS does not answer.
    """
    for place in folders:
        folder = f"{place}/{beginning(application_id)}{attempt}"
        try:
            files = sorted((int(match[1]), match[0]) for match in _named(hdfs, folder))
            return _lives(line for line in _lines(hdfs, folder, [name for _, name in files[:_MAX_FILES]]))
        except ClusterRefused:
            continue
    return []


def _named(hdfs: Hdfs, folder: str) -> Iterator[re.Match[str]]:
    for file in hdfs.list(folder):
        match = _FILE.fullmatch(file.name)
        if match and not file.is_folder:
            yield match


def _lines(hdfs: Hdfs, folder: str, names: list[str]) -> Iterator[bytes]:
    """Yield the lines about executors; what is broken ends the reading."""
    left = _MAX_BYTES
    for name in names:
        raw = io.BufferedReader(_Chunks(hdfs.open(f"{folder}/{name}")))
        stream: Any = raw
        if name.endswith(".zstd"):
            stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        rest = b""
        try:
            while left > 0 and (part := stream.read(1 << 16)):
                left -= len(part)
                *whole, rest = (rest + part).split(b"\n")
                rest = rest[:_MAX_LINE]
                yield from (line for line in whole if _ADDED in line[:_HEAD] or _REMOVED in line[:_HEAD])
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
