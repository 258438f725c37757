"""What follows from measurements, against a ResourceManager and a canary that the test plays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ledger_world import T0

from market.cluster.hdfs import FileStatus
from market.cluster.resourcemanager import App, Node
from market.kit import alerts, audit, clock, database, isolation
from market.kit.errors import OverLimitError
from market.kit.paging import Page
from market.kit.settings import load
from market.machines import canary, measurements, queries, registry, verification
from market.machines.canary import Measured
from market.machines.measurements import Open, Speeds

pytestmark = pytest.mark.database

SECOND = 1000
GOOD = Measured("10.0.0.3", Speeds(1000, 3600, 5000), 4, 8192, True)


@dataclass
class Yarn:
    """A ResourceManager with one node for each machine, and at most one canary."""

    node: Node
    app: App | None = None
    killed: list[str] = field(default_factory=list)

    def nodes(self, states: str | None = None) -> list[Node]:
        return [self.node, replace(self.node, node_id="10.0.0.9:8041", host="10.0.0.9")]

    def apps(self, tags: Any = None, states: Any = None) -> list[App]:
        return [self.app] if self.app and set(tags) & set(self.app.tags) else []

    def kill(self, application_id: str) -> None:
        self.killed.append(application_id)


@dataclass
class Bench:
    """One lent machine that is measured; `measured` is what its canary measures."""

    yarn: Yarn
    machine_id: str
    lenders: Any
    submitted: list[tuple[str, set[str]]] = field(default_factory=list)
    measured: Measured | None = GOOD
    at_ms: int = field(default_factory=clock.now_ms)

    def turn(self, after_s: int = 0) -> None:
        self.at_ms += after_s * SECOND
        verification.run_pass()

    def measure(self, measured: Measured | None) -> Any:
        self.measured = measured
        self.lenders.world.sql("UPDATE machine SET verify_due_ms = 0")
        self.turn(after_s=60)
        self.end("FINISHED")
        self.turn()
        return self.lenders.row(self.machine_id)

    def end(self, state: str) -> None:
        assert self.yarn.app is not None
        self.yarn.app = replace(self.yarn.app, state=state)

    def last(self) -> Any:
        return registry.verifications(self.lenders.anna, self.machine_id)[0]


@pytest.fixture
def bench(lenders, monkeypatch) -> Bench:
    machine_id = lenders.world.machine(lenders.anna.user_id)
    lenders.world.sql("UPDATE machine SET verified_ms = NULL, active_ms = %s", T0)
    row = lenders.row(machine_id)
    node_id = f"{row.ip_address}:8041"
    node = Node(node_id, row.ip_address, 8041, "RUNNING", "", 8192, 4, 0, 0, 0, ("cpu",), 0, "")
    bench = Bench(Yarn(node), machine_id, lenders)

    def submit(open_canary, machine, shape, others) -> None:
        bench.submitted.append((machine.machine_id, set(others)))
        app = [
            f"application_1_{len(bench.submitted):04d}",
            "spark",
            "canary",
            "cpu",
            "RUNNING",
            "",
            "",
            (open_canary.tag,),
        ]
        bench.yarn.app = App(*app, *([0] * 9), "", "")

    monkeypatch.setattr(canary, "submit", submit)
    monkeypatch.setattr(
        canary,
        "result",
        lambda open_canary: (
            bench.measured and replace(bench.measured, host=bench.measured.host and row.ip_address)
        ),
    )
    monkeypatch.setattr(canary, "forget", lambda open_canary: None)
    monkeypatch.setattr(verification, "resource_manager", lambda: bench.yarn)
    monkeypatch.setattr(verification.clock, "now_ms", lambda: bench.at_ms)
    return bench


def test_a_good_result_makes_a_machine_verified_and_trust_grows(bench: Bench) -> None:
    bench.turn()
    assert bench.submitted == [(bench.machine_id, {"10.0.0.9"})], "on this machine, on no other"
    bench.turn(after_s=5)
    assert bench.last()["outcome"] == "running"
    bench.end("FINISHED")
    bench.turn(after_s=5)
    row = bench.lenders.row(bench.machine_id)
    assert (row.verified_ms, row.trust) == (bench.at_ms, 1)
    assert row.verify_due_ms > bench.at_ms
    assert (bench.last()["outcome"], bench.last()["core_speed"], bench.last()["speed"]) == (
        "good",
        1000,
        3600,
    )
    for _ in range(12):
        row = bench.measure(GOOD)
    assert row.trust == 10


def test_a_machine_that_delivers_less_again_and_again_is_drained_with_the_reason(bench: Bench) -> None:
    bench.measure(GOOD)
    poor = replace(GOOD, speeds=Speeds(1000, 1500, 5000))
    row = bench.measure(poor)
    assert (row.state, row.trust) == ("active", 0)
    row = bench.measure(poor)
    assert (row.state, row.verified_ms is None) == ("active", False), "that may be chance"
    row = bench.measure(poor)
    assert row.state == "draining"
    assert row.reason == "drained: measured 3 times, of 4 cores it delivered 1.5"
    assert row.verified_ms is None
    assert [alert.kind for alert in alerts.list_alerts(Page()).rows] == ["poor_machine"]


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        (replace(GOOD, host_cores=2), "its system has 2 cores"),
        (replace(GOOD, host_memory_mib=4000), "and 4000 MiB"),
        (replace(GOOD, speeds=Speeds(400, 1600, 5000)), "40 % of their former speed"),
    ],
)
def test_what_is_poor(bench: Bench, measured: Measured, reason: str) -> None:
    bench.measure(GOOD)
    bench.measure(measured)
    assert bench.last()["outcome"] == "poor"
    assert reason in bench.last()["detail"]


def test_a_machine_is_not_blamed_for_what_ran_there_beside_the_market(bench: Bench) -> None:
    bench.measure(GOOD)
    with database.transaction() as cursor:
        audit.write(cursor, audit.UNKNOWN_APPLICATION, "mallory", "application_1_0007", "")
    bench.lenders.world.sql("ALTER TABLE audit DISABLE TRIGGER append_only")
    bench.lenders.world.sql("UPDATE audit SET at_ms = %s", bench.at_ms + 61 * SECOND)
    row = bench.measure(replace(GOOD, speeds=Speeds(1000, 1500, 5000)))
    assert (bench.last()["outcome"], row.trust) == ("none", 1)
    assert "nobody knew" in bench.last()["detail"]


@pytest.mark.parametrize("measured", [None, replace(GOOD, host=""), replace(GOOD, in_time=False)])
def test_what_measured_nothing_has_no_consequences(bench: Bench, measured: Measured | None) -> None:
    row = bench.measure(measured)
    assert bench.last()["outcome"] == "none"
    assert (row.state, row.trust, row.verified_ms) == ("active", 0, None)


def test_a_canary_waits_until_a_machine_has_been_idle(bench: Bench) -> None:
    world = bench.lenders.world
    bench.yarn.node = replace(bench.yarn.node, containers=1)
    bench.turn()
    bench.yarn.node = replace(bench.yarn.node, containers=0)
    world.sql("UPDATE machine SET active_ms = %s", bench.at_ms)
    bench.turn(after_s=load().machines.verify_after_s - 1)
    assert bench.submitted == []
    bench.turn(after_s=1)
    assert len(bench.submitted) == 1


def test_a_canary_gives_way_to_a_job(bench: Bench) -> None:
    bench.turn()
    world = bench.lenders.world
    job_id = world.job(world.member())
    world.sql("UPDATE job SET status = 'accepted', added_ms = %s", bench.at_ms)
    bench.turn(after_s=3)
    assert bench.yarn.killed == [bench.yarn.app.application_id]
    assert (bench.last()["outcome"], bench.last()["detail"]) == ("none", "it gave way to a job")
    world.sql("UPDATE machine SET verify_due_ms = 0")
    bench.turn()
    assert len(bench.submitted) == 1, "and none starts while the job waits"
    world.sql("UPDATE job SET status = 'running' WHERE job_id = %s", job_id)
    world.container(job_id, None, bench.at_ms, role="driver")
    bench.turn()
    assert len(bench.submitted) == 1, "nor while only its driver runs"
    world.container(job_id, None, bench.at_ms)
    bench.turn()
    assert len(bench.submitted) == 2


def test_a_canary_that_takes_too_long_is_stopped(bench: Bench) -> None:
    bench.turn()
    bench.turn(after_s=load().machines.verify_timeout_s + 1)
    assert len(bench.yarn.killed) == 1
    assert bench.last()["detail"] == "it took too long"


def test_a_canary_that_yarn_does_not_know_is_closed(bench: Bench) -> None:
    bench.turn()
    bench.yarn.app = None
    bench.turn(after_s=5)
    assert bench.last()["outcome"] == "running"
    bench.turn(after_s=60)
    assert bench.last()["outcome"] == "none"


def test_a_lost_container_costs_the_trust(bench: Bench) -> None:
    row = bench.measure(GOOD)
    world = bench.lenders.world
    job_id = world.job(world.member())
    world.container(job_id, bench.machine_id, T0)
    world.sql("UPDATE container_usage SET end_ms = %s, end_kind = 'node_lost'", bench.at_ms)
    bench.turn()
    assert bench.lenders.row(bench.machine_id).trust == 0
    assert bench.lenders.row(bench.machine_id).verified_ms == row.verified_ms
    bench.measure(GOOD)
    assert bench.lenders.row(bench.machine_id).trust == 1, "a loss counts once"


def test_an_owner_may_ask_for_a_measurement_now_and_then(bench: Bench) -> None:
    bench.lenders.world.sql("UPDATE machine SET verify_due_ms = %s", bench.at_ms + 3_600_000)
    bench.turn()
    assert bench.submitted == []
    registry.verify(bench.lenders.anna, bench.machine_id)
    bench.turn()
    assert len(bench.submitted) == 1
    with pytest.raises(OverLimitError):
        registry.verify(bench.lenders.anna, bench.machine_id)


def test_one_canary_at_a_time(bench: Bench) -> None:
    with database.transaction() as cursor:
        assert measurements.begin(cursor, bench.machine_id, 1, bench.at_ms) is not None
    with database.transaction() as cursor:
        assert measurements.begin(cursor, bench.machine_id, 1, bench.at_ms) is None
    with database.transaction() as cursor:
        assert measurements.open_one(cursor) is not None


@pytest.mark.parametrize(
    ("cores", "mib", "measured"), [(1, 1024, 1), (4, 8192, 4), (16, 1024, 3), (200, 65536, 64)]
)
def test_a_canary_fits_into_its_machine(bench: Bench, cores: int, mib: int, measured: int) -> None:
    with database.transaction() as cursor:
        machine = queries.find(cursor, bench.machine_id)
    assert machine is not None
    shape = canary.shape(replace(machine, core_count=cores, memory_mib=mib), 64)
    assert shape.cores == measured
    assert 512 + shape.overhead_mib <= mib


def test_a_canary_that_cannot_be_followed_keeps_no_other_machine_waiting(bench: Bench, monkeypatch) -> None:
    bench.turn()
    bench.end("FINISHED")
    bench.measured = replace(GOOD, speeds=Speeds(1 << 70, 1 << 70, 1))  # no column takes it
    for _ in range(isolation.MOST_FAILURES):
        assert bench.last()["outcome"] == "running"
        bench.lenders.world.sql("UPDATE setback SET next_ms = 0")
        bench.turn(after_s=10)
    assert bench.last()["outcome"] == "none"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"[" * 100_000, None),
        (b"{}", None),
        (b'{"alone": {"host": "a", "speed": NaN, "memory_mib_s": 1, "cores": 1}, "together": []}', None),
        (b" " * (2 << 20), None),
        (b'{"alone": {"host": "a", "speed": 1e999, "memory_mib_s": 1, "cores": 1}, "together": []}', None),
        (
            b'{"alone": {"host": "\\ud800\\u0000", "speed": 1e99, "memory_mib_s": 1e300, "cores": 1e99,'
            b' "memory_mib": -1}, "together": [{"host": "\\ud800\\u0000", "speed": 1e300, "late": 0}]}',
            Measured("\ufffd\ufffd", Speeds(10**12, 10**12, 10**12), 10**12, 1, True),
        ),
    ],
)
def test_a_result_may_be_anybody_s_words(monkeypatch, text: bytes, expected: Measured | None) -> None:
    class Files:
        def status(self, path: str) -> FileStatus:
            return FileStatus("", len(text), False, 0, "644", "spark")

        def read(self, path: str) -> bytes:
            return text

    monkeypatch.setattr(canary, "hdfs", Files)
    assert canary.result(Open("c" * 32, "m" * 32, 1, 0)) == expected
