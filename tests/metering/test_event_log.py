"""What is read of a program's event log, also where the program wrote it itself to cheat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard

from market.cluster import event_log
from market.cluster.errors import HdfsNotFound
from market.cluster.event_log import ExecutorLife, Task, executor_lives, tasks
from market.cluster.hdfs import FileStatus

APP = "application_1_0001"
PLACES = ["/user/ann/.market-jobs/1/events", "/spark-logs"]
FOLDER = f"{PLACES[1]}/eventlog_v2_{APP}_2"


@dataclass
class Files:
    """Files in HDFS, in chunks of a few bytes."""

    content: dict[str, bytes]

    def list(self, path: str) -> list[FileStatus]:
        names = [name.rsplit("/", 1)[1] for name in self.content if name.startswith(f"{path}/")]
        if not names:
            raise HdfsNotFound(path)
        return [FileStatus(name, 0, False, 0, "660", "user1") for name in names]

    def open(self, path: str) -> Iterator[bytes]:
        content = self.content[path]
        yield from (content[place : place + 7] for place in range(0, len(content), 7))


def added(number: int, at_ms: int, container: str = "", port: object = "8041") -> dict[str, Any]:
    container = container or f"container_1_0001_01_{number + 1:06}"
    return {
        "Event": "SparkListenerExecutorAdded",
        "Timestamp": at_ms,
        "Executor ID": str(number),
        "Executor Info": {
            "Host": "10.0.0.1",
            "Total Cores": 1,
            "Attributes": {"NM_HOST": "10.0.0.1", "NM_PORT": port, "CONTAINER_ID": container},
        },
    }


def removed(number: int, at_ms: int) -> dict[str, Any]:
    return {
        "Event": "SparkListenerExecutorRemoved",
        "Timestamp": at_ms,
        "Executor ID": str(number),
        "Removed Reason": "",
    }


def packed(*events: object) -> bytes:
    text = b"".join(
        (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n" for event in events
    )
    return zstandard.ZstdCompressor().compress(text)


def read(content: dict[str, bytes]) -> list[ExecutorLife]:
    files = Files({f"{FOLDER}/{name}": data for name, data in content.items()})
    return executor_lives(files, PLACES, APP, 2)  # type: ignore[arg-type]


def test_a_log_is_found_where_it_lies_first_and_where_it_is_moved_to() -> None:
    for place in PLACES:
        log = {f"{place}/eventlog_v2_{APP}_2/events_1_a.zstd": packed(added(0, 5))}
        (life,) = executor_lives(Files(log), PLACES, APP, 2)  # type: ignore[arg-type]
        assert life.added_ms == 5


def test_executors_are_read_over_all_files_of_a_rolled_log_and_all_frames() -> None:
    noise = {"Event": "SparkListenerTaskEnd", "Task Info": {"x": "y" * 5000}}
    lives = read(
        {
            f"events_10_{APP}.zstd": packed(removed(1, 500)),
            f"events_2_{APP}.zstd": packed(noise, added(1, 100)) + packed(added(2, 200), noise),
            f"appstatus_{APP}": b"",
        }
    )
    assert lives == [
        ExecutorLife("container_1_0001_01_000002", "10.0.0.1:8041", 100, 500),
        ExecutorLife("container_1_0001_01_000003", "10.0.0.1:8041", 200, None),
    ]


def test_a_log_that_is_not_compressed_is_read_as_well() -> None:
    line = json.dumps(added(1, 100)).encode() + b"\n"
    assert [life.added_ms for life in read({f"events_1_{APP}": line})] == [100]


def test_an_application_without_a_log_has_no_claims() -> None:
    assert executor_lives(Files({}), PLACES, APP, 2) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    [
        b'{"Event":"SparkListenerExecutorAdded"',
        b'{"Event":"SparkListenerExecutorAdded"}',
        added(1, "soon"),  # type: ignore[arg-type]
        added(1, 100, port="x"),
        {**added(1, 100), "Executor Info": None},
        b"[" * 100_000 + b'"SparkListenerExecutorAdded"',
    ],
)
def test_what_has_not_the_right_form_is_left_out(line: object) -> None:
    assert [life.container_id for life in read({f"events_1_{APP}.zstd": packed(line, added(2, 200))})] == [
        "container_1_0001_01_000003"
    ]


def test_a_broken_file_ends_the_reading_and_a_bomb_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(read({f"events_1_{APP}.zstd": packed(added(1, 1)) + b"no zstd"})) <= 1
    monkeypatch.setattr(event_log, "_MAX_BYTES", 1 << 20)
    bomb = zstandard.ZstdCompressor().compress(b"x" * (64 << 20))
    assert read({f"events_1_{APP}.zstd": bomb, f"events_2_{APP}.zstd": packed(added(1, 1))}) == []


def read_tasks(content: dict[str, bytes]) -> list[Task] | None:
    files = Files({f"{FOLDER}/{name}": data for name, data in content.items()})
    return tasks(files, PLACES, APP, 2)  # type: ignore[arg-type]


def ran(start_ms: object, end_ms: object) -> dict[str, Any]:
    return {"Event": "SparkListenerTaskEnd", "Task Info": {"Launch Time": start_ms, "Finish Time": end_ms}}


def test_the_tasks_of_a_real_log_are_read_in_the_order_of_their_beginning() -> None:
    """What Spark 4.3.0 wrote of the tasks of examples/digits, on two executors of one core."""
    log = (Path(__file__).parent / "event_log_of_spark_4.3.0.zstd").read_bytes()
    found = read_tasks({f"events_1_{APP}.zstd": log})
    assert found is not None
    assert len(found) == 11
    assert found == sorted(found, key=lambda task: task.start_ms)
    assert found[0].start_ms == 1796030475253
    at_once = max(sum(one.start_ms <= task.start_ms < one.end_ms for one in found) for task in found)
    assert at_once in (2, 3)  # the driver notes an end a little later than the next one's beginning


@pytest.mark.parametrize(
    "line",
    [
        b'{"Event":"SparkListenerTaskEnd","Task Info":{"Launch',
        {"Event": "SparkListenerTaskEnd", "Task Info": None},
        ran("soon", 5),
        ran(True, 5),
        ran(7, 5),
        ran(-1, 5),
        ran(1, 1 << 60),
        ran(1.5, 5),
        b'{"Event":"SparkListenerTaskEnd",' + b"[" * 100_000,
    ],
)
def test_a_task_that_has_not_the_right_form_is_left_out(line: object) -> None:
    assert read_tasks({f"events_1_{APP}.zstd": packed(line, ran(100, 200))}) == [Task(100, 200)]


def test_tasks_that_cannot_all_be_read_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tasks(Files({}), PLACES, APP, 2) is None  # type: ignore[arg-type]
    several = {f"events_{number}_{APP}.zstd": packed(ran(number, 99)) for number in range(1, 31)}
    assert read_tasks(several) is None
    monkeypatch.setattr(event_log, "_MAX_TASKS", 2)
    assert read_tasks({f"events_1_{APP}.zstd": packed(*[ran(1, 2)] * 2)}) == [Task(1, 2)] * 2
    assert read_tasks({f"events_1_{APP}.zstd": packed(*[ran(1, 2)] * 3)}) is None
    monkeypatch.setattr(event_log, "_MAX_BYTES", 1 << 16)
    bomb = zstandard.ZstdCompressor().compress(b"x" * (64 << 20))
    assert read_tasks({f"events_1_{APP}.zstd": bomb}) is None
