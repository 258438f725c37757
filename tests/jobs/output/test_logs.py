"""Log files byte for byte, while a job runs, in the moment of its end, and after."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ledger_world import World
from log_servers import NODE, Servers, serve
from slow_server import drips, serving

from market.cluster.container_logs import LogFile, log_files
from market.cluster.hdfs import Hdfs
from market.cluster.jobhistory import JobHistory
from market.cluster.nodemanager import NodeManager
from market.cluster.resourcemanager import ResourceManager
from market.cluster.tickets import Named
from market.jobs import store
from market.jobs.output import log_places, log_reader, logs
from market.jobs.output.log_places import Place
from market.jobs.store import Job
from market.kit.clock import now_ms
from market.kit.database import transaction
from market.kit.errors import NotFoundError, UnavailableError

pytestmark = pytest.mark.database

APPLICATION = "application_1_0001"
DRIVER, EXECUTOR = "container_e17_1_0001_01_000001", "container_e17_1_0001_01_000002"
NOTE = b"NOTE: Picked up JDK_JAVA_OPTIONS: -XX:SharedArchiveFile=/home/lender/spark.jsa -Xshare:auto\n"
DAY_MS = 86_400_000


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    with serve() as made:
        made.application = APPLICATION
        away = SimpleNamespace(status=lambda path: None)
        monkeypatch.setattr(
            log_places, "resource_manager", lambda: ResourceManager(made.url, Named("market"))
        )
        for module in (log_places, log_reader):
            monkeypatch.setattr(module, "job_history", lambda: JobHistory(made.url, Named("market")))
            monkeypatch.setattr(module, "node_manager", lambda address: NodeManager(address, Named("market")))
        monkeypatch.setattr(log_reader, "hdfs", lambda: away)
        monkeypatch.setattr(log_places, "_PAUSE_S", 0.01)
        log_reader._notes.clear()
        yield made


@pytest.fixture
def job(world: World, servers: Servers) -> Job:
    """A running job whose driver's container the meter has not seen yet."""
    owner = world.member()
    job_id = world.job(owner)
    machine = world.machine(owner)
    world.sql(
        "UPDATE machine SET ip_address = '127.0.0.1', service_port = 45454, display_name = 'brave-fox'"
        " WHERE machine_id = %s",
        machine,
    )
    world.stand(job_id, "running", application_id=APPLICATION)
    seen = world.container(job_id, machine, now_ms())
    world.sql(
        "UPDATE container_usage SET container_id = %s, application_id = %s, node_id = %s, host = 'shy-owl'"
        " WHERE container_id = %s",
        *(EXECUTOR, APPLICATION, NODE, seen),
    )
    found = store.find(job_id)
    assert found is not None
    return found


def ended(job: Job, ago_ms: int = 0) -> Job:
    with transaction() as cursor:
        for table in ("job", "run"):
            cursor.execute(
                f"UPDATE {table} SET status = 'succeeded', ended_ms = %s WHERE job_id = %s",
                [now_ms() - ago_ms, job.job_id],
            )
    found = store.find(job.job_id)
    assert found is not None
    return found


def read(job: Job, container: str, file: str, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join(log_reader.read(job, container, file, offset, length))


def files(stderr: bytes = NOTE + b"problem\n", stdout: bytes = b"hello\n") -> dict[str, bytes]:
    return {
        "stderr": stderr,
        "launch_container.sh": b"export SECRET=1",
        "directory.info": b"/home/lender",
        "prelaunch.out": b"x",
        "prelaunch.err": b"",
        "stdout": stdout,
        "own.log": b"mine",
    }


def test_the_list_of_a_running_job(job: Job, servers: Servers) -> None:
    servers.local = {EXECUTOR: files(stdout=b""), DRIVER: files()}
    found = [(one.role, one.host, one.file, one.size) for one in logs.list_files(job)]
    assert found == [
        ("driver", "brave-fox", "own.log", 4),
        ("driver", "brave-fox", "stderr", 8),
        ("driver", "brave-fox", "stdout", 6),
        ("executor", "shy-owl", "own.log", 4),
        ("executor", "shy-owl", "stderr", 8),
        ("executor", "shy-owl", "stdout", 0),
    ]


def test_no_address_is_shown(job: Job, servers: Servers, world: World) -> None:
    world.sql("DELETE FROM machine_presence")
    world.sql("UPDATE machine SET service_port = 1")
    servers.local, servers.collected = {DRIVER: files()}, {DRIVER: files()}
    assert {one.host for one in logs.list_files(ended(job))} == {"a machine"}


@pytest.mark.parametrize("changed", ["service_port = 1", "ip_address = '192.0.2.8'"])
def test_a_node_that_nobody_registered_is_not_asked(
    job: Job, servers: Servers, world: World, changed: str
) -> None:
    """It may say of itself that it is any server."""
    world.sql(f"UPDATE machine SET {changed}")
    servers.local, servers.says = {DRIVER: files()}, "127.0.0.1"
    assert logs.list_files(job) == []
    assert not [path for path in servers.asked if path.startswith("/ws/v1/node")]


def test_a_slow_machine_s_files_are_left_out_and_the_others_listed(
    job: Job, servers: Servers, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends a byte now and then: each of its containers would hold the list while that goes on."""
    servers.local = {EXECUTOR: files()}
    monkeypatch.setattr(log_places, "_LIST_S", 1.0)
    slow = [Place(f"container_e17_1_0001_01_0000{number}", "127.0.0.2:1") for number in range(10, 40)]
    with serving(drips(b"x", 0.05), "127.0.0.2") as address:
        world.machine(None)
        world.sql("UPDATE machine SET ip_address = '127.0.0.2', service_port = 1 WHERE user_id IS NULL")
        client = ResourceManager(servers.url, Named("market"))
        node, one = client.node(NODE), client.node
        assert node is not None
        other = dataclasses.replace(node, http_address=address)
        both = SimpleNamespace(node=lambda node_id: other if node_id == "127.0.0.2:1" else one(node_id))
        monkeypatch.setattr(log_places, "resource_manager", lambda: both)
        began = time.monotonic()
        found = log_places.local([*slow, Place(EXECUTOR, NODE)])
        assert time.monotonic() - began < 3
    assert list(found) == [EXECUTOR]


def test_a_machine_that_is_slow_to_send_its_files_hides_no_other_s(
    job: Job, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lists its files quickly, and lets whoever reads the beginning of one wait."""
    servers.local = {EXECUTOR: files(), DRIVER: files()}
    at_s, asked = [0.0], []
    monkeypatch.setattr(logs, "time", SimpleNamespace(monotonic=lambda: at_s[0]))
    slow = [
        Place(f"container_e17_1_0001_01_0000{number}", "10.0.0.9:1", "slow-ox") for number in range(10, 60)
    ]
    well, local = log_reader.shown_size, log_places.local
    known = log_places.known
    monkeypatch.setattr(
        log_places, "known", lambda run: known(run) | {place.container_id: place for place in slow}
    )
    monkeypatch.setattr(
        log_places,
        "local",
        lambda places: (
            local([place for place in places if place not in slow])
            | {place.container_id: [LogFile("stderr", 100)] for place in slow}
        ),
    )

    def size(run: Any, place: Place, file: LogFile) -> int:
        if place.node_id != "10.0.0.9:1":
            return well(run, place, file)
        asked.append(place)
        at_s[0] += 6
        if len(asked) == 2:
            raise UnavailableError("too slow")
        return file.size - 10

    monkeypatch.setattr(log_reader, "shown_size", size)
    found = logs.list_files(job)
    assert len(asked) == 2, "not fifty times"
    assert [one.size for one in found if one.host == "slow-ox"] == [90] + [100] * 49
    assert {one.size for one in found if (one.host, one.file) == ("shy-owl", "stderr")} == {8}


@pytest.mark.parametrize(
    "file",
    [
        {"fileName": "a", "fileSize": "9" * 5000},
        {"fileName": "a", "fileSize": "\u0665"},
        {"fileName": ["a"] * 300, "fileSize": {}},
        {"fileSize": 1},
    ],
)
def test_a_listing_that_no_machine_can_mean_is_left_out(file: dict[str, Any]) -> None:
    good = {"fileName": "stdout", "fileSize": "3"}
    assert log_files({"containerLogInfo": [file, good]}) == [LogFile("stdout", 3)]


@pytest.mark.parametrize("collected", [False, True])
def test_every_stretch_is_exact(job: Job, servers: Servers, collected: bool) -> None:
    text = bytes(range(256)) * 4000  # a MiB with every byte, above what is read from the beginning
    servers.local, servers.collected = (
        ({}, {DRIVER: files(stdout=text)})
        if collected
        else (
            {DRIVER: files(stdout=text)},
            {},
        )
    )
    found = ended(job) if collected else job
    assert read(found, DRIVER, "stdout") == text
    stretches = [
        (0, 10),
        (7, 100),
        (250_000, 50_000),
        (300_000, 1000),
        (len(text) - 5, None),
        (len(text) - 5, 100),
        (len(text), None),
        (len(text) + 10**9, 10),
        (400_000, None),
        (10, 0),
    ]
    for offset, length in stretches:
        expected = text[offset:] if length is None else text[offset : offset + length]
        assert read(found, DRIVER, "stdout", offset, length) == expected, (offset, length)


def test_a_file_that_grows_between_two_requests(job: Job, servers: Servers) -> None:
    start = b"".join(b"%07d\n" % number for number in range(100_000))
    servers.local = {DRIVER: files(stdout=start)}
    servers.grows = 30_000
    assert read(job, DRIVER, "stdout", 400_000, 1000) == start[400_000:401_000]
    servers.grows = 100_000  # more than the margin: it is asked again
    servers.local[DRIVER]["stdout"] = start
    assert read(job, DRIVER, "stdout", 790_000, 10_000) == start[790_000:]


def test_followed_from_offset_to_offset_nothing_is_lost_or_twice(job: Job, servers: Servers) -> None:
    servers.local = {DRIVER: files(stderr=b"")}
    whole, shown, offset = NOTE + b"one\ntwo\nthree\nfour\n", b"", 0
    for size in (0, 3, len(NOTE) - 1, len(NOTE), len(NOTE) + 2, len(NOTE) + 9, len(whole)):
        servers.local[DRIVER]["stderr"] = whole[:size]
        piece = read(job, DRIVER, "stderr", offset, 1000)
        shown, offset = shown + piece, offset + len(piece)
    servers.collected = {DRIVER: files(stderr=whole + b"five\n")}
    servers.local = {}
    shown += read(ended(job), DRIVER, "stderr", offset)
    assert shown == b"one\ntwo\nthree\nfour\nfive\n"


def test_a_stderr_without_the_note_is_shown_whole(job: Job, servers: Servers) -> None:
    servers.local = {DRIVER: files(stderr=b"NOTE: mine\n"), EXECUTOR: files(stderr=b"", stdout=NOTE)}
    assert read(job, DRIVER, "stderr") == b"NOTE: mine\n"
    assert read(job, EXECUTOR, "stdout") == NOTE
    sizes = {(one.container_id, one.file): one.size for one in logs.list_files(job)}
    assert sizes[DRIVER, "stderr"] == 11


def test_at_the_end_the_machine_answers_until_the_logs_are_collected(job: Job, servers: Servers) -> None:
    servers.local = {DRIVER: files(), EXECUTOR: files()}
    over = ended(job)
    assert {one.container_id for one in logs.list_files(over)} == {DRIVER, EXECUTOR}
    assert read(over, DRIVER, "stdout") == b"hello\n"
    servers.collected = {DRIVER: servers.local.pop(DRIVER)}  # one machine has handed over
    assert {one.container_id for one in logs.list_files(over)} == {DRIVER, EXECUTOR}
    assert read(over, DRIVER, "stdout") == read(over, EXECUTOR, "stdout") == b"hello\n"


def test_what_nobody_has_for_a_moment_is_waited_for(job: Job, servers: Servers) -> None:
    servers.collected, servers.late = {DRIVER: files(), EXECUTOR: files()}, 5
    assert {one.container_id for one in logs.list_files(ended(job))} == {DRIVER, EXECUTOR}
    servers.late = 5
    assert read(ended(job), DRIVER, "stdout") == b"hello\n"


def test_a_machine_that_deletes_while_it_hands_over_hides_nothing(job: Job, servers: Servers) -> None:
    servers.collected, servers.late = {DRIVER: files(), EXECUTOR: files()}, 1
    servers.local = {DRIVER: {"stderr": NOTE}}
    listed = [(one.role, one.file) for one in logs.list_files(ended(job))]
    assert ("driver", "stdout") in listed


def test_of_an_old_job_no_machine_is_asked(job: Job, servers: Servers) -> None:
    servers.collected = {DRIVER: files()}
    assert {one.container_id for one in logs.list_files(ended(job, DAY_MS))} == {DRIVER}
    with pytest.raises(NotFoundError):
        read(ended(job, DAY_MS), EXECUTOR, "stdout")
    assert not [path for path in servers.asked if "/node" in path]


def test_what_is_gone_says_why(job: Job, servers: Servers, world: World) -> None:
    world.sql("UPDATE container_usage SET end_ms = last_seen_ms, end_kind = 'node_lost'")
    with pytest.raises(NotFoundError, match="shy-owl was lost"):
        read(ended(job, DAY_MS), EXECUTOR, "stdout")
    with pytest.raises(NotFoundError, match="kept for 30 days"):
        logs.list_files(ended(job, 31 * DAY_MS))
    with pytest.raises(NotFoundError, match="kept for 30 days"):
        read(ended(job, 31 * DAY_MS), DRIVER, "stdout")
    assert logs.list_files(ended(job, DAY_MS)) == []


def test_when_the_log_server_is_away_nothing_is_called_gone(
    job: Job, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = "http://127.0.0.1:9"
    for module in (log_places, log_reader):
        monkeypatch.setattr(module, "job_history", lambda: JobHistory(nobody, Named("market")))
    for attempt in (lambda: logs.list_files(ended(job, DAY_MS)), lambda: read(ended(job), DRIVER, "stdout")):
        with pytest.raises(UnavailableError):
            attempt()
    # It answers, but HDFS, where it reads, does not.
    for module in (log_places, log_reader):
        monkeypatch.setattr(module, "job_history", lambda: JobHistory(servers.url, Named("market")))
    monkeypatch.setattr(log_reader, "hdfs", lambda: Hdfs(nobody, Named("market")))
    with pytest.raises(UnavailableError):
        logs.list_files(ended(job, DAY_MS))


@pytest.mark.parametrize(
    ("container", "file"),
    [
        ("container_1_0002_01_000001", "stdout"),
        ("container_e17_2_0001_01_000001", "stdout"),
        ("container_1_0001_01_000001/../x", "stdout"),
        ("x", "stdout"),
        (DRIVER, "launch_container.sh"),
        (DRIVER, "directory.info"),
        (DRIVER, "../stdout"),
        (DRIVER, "missing"),
        (DRIVER, ""),
    ],
)
def test_what_is_not_this_job_s_is_not_there(job: Job, servers: Servers, container: str, file: str) -> None:
    servers.local = {DRIVER: files(), "container_1_0002_01_000001": files()}
    with pytest.raises(NotFoundError):
        read(job, container, file)


def test_before_yarn_has_the_job_there_are_no_logs(world: World, job: Job, servers: Servers) -> None:
    world.stand(job.job_id, "submitted")
    waiting = dataclasses.replace(job, application_id=None, status="submitted")
    assert logs.list_files(waiting) == []
    with pytest.raises(NotFoundError):
        read(waiting, DRIVER, "stdout")
    assert servers.asked == []


@pytest.mark.parametrize(
    ("size", "offset", "text"), [(3, 5, b"em\n"), (8, 0, b"problem\n"), (99, 0, b"problem\n"), (0, 8, b"")]
)
def test_the_end_of_a_file_is_found_without_its_beginning(
    job: Job, servers: Servers, size: int, offset: int, text: bytes
) -> None:
    servers.local = {DRIVER: files()}
    begins, chunks = log_reader.tail(job, DRIVER, "stderr", size)
    assert (begins, b"".join(chunks)) == (offset, text)


def test_the_end_of_a_large_file(job: Job, servers: Servers) -> None:
    text = bytes(range(256)) * 4000
    servers.local = {DRIVER: files(stdout=text)}
    begins, chunks = log_reader.tail(job, DRIVER, "stdout", 1000)
    assert (begins, b"".join(chunks)) == (len(text) - 1000, text[-1000:])


def test_the_list_stays_when_the_files_are_deleted(job: Job, servers: Servers, world: World) -> None:
    world.sql("INSERT INTO log_file VALUES (%s, 0, %s, 'driver', 'shy-owl', 'stdout', 6)", job.job_id, DRIVER)
    old = dataclasses.replace(ended(job, 31 * DAY_MS), logs_ms=1)
    assert logs.list_files(old) == [logs.JobLog(DRIVER, "driver", "shy-owl", "stdout", 6)]
    with pytest.raises(NotFoundError, match="kept for 30 days"):
        read(old, DRIVER, "stdout")
