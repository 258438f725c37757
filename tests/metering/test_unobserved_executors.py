"""Executors that no poll observed: from the event log, and never more than the ResourceManager counted."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_world import MINUTE, T0, World
from metering.conftest import FakeResourceManager

from market.cluster.event_log import ExecutorLife
from market.credits.settlement.steps import settle
from market.hadoop.allocation import container_mib
from market.metering import polling
from market.metering.meter import poll_once
from market.metering.queries import TaggedJob

pytestmark = pytest.mark.database

MIB = container_mib(512)  # what YARN allocates for an executor


class Program:
    """A job whose driver every poll observes, on the pool; its event log says what a test writes."""

    def __init__(self, world: World, rm: FakeResourceManager) -> None:
        self.world, self.rm, self.claims = world, rm, list[ExecutorLife]()
        self.logs_read = 0
        buyer = world.member()
        self.nodes = []
        for owner in (None, world.member(), world.member()):
            machine_id = world.machine(owner)
            node = str(
                world.one(
                    "SELECT ip_address || ':' || service_port FROM machine WHERE machine_id = %s", machine_id
                )
            )
            rm.node(node)
            self.nodes.append((node, machine_id))
        self.job = world.job(buyer)
        world.sql("DELETE FROM application_usage")
        rm.run(self.job, T0)
        self.driver = rm.start(1, self.nodes[0][0], T0)

    def logged(self, job: TaggedJob, application_id: str, attempt: int) -> list[ExecutorLife]:
        self.logs_read += 1
        return self.claims

    def poll(self, since_s: int, until_s: int, step_s: int = 2) -> None:
        for second in range(since_s, until_s, step_s):
            poll_once(self.rm, T0 + second * 1000, self.logged)

    def claim(self, number: int, start_s: float, end_s: float, node: str | None = None, **other: Any) -> None:
        container = other.get("container") or f"container_1_0001_01_{number:06}"
        self.claims.append(
            ExecutorLife(
                container, node or self.nodes[1][0], T0 + round(start_s * 1000), T0 + round(end_s * 1000)
            )
        )

    def end(self, at_s: int, unobserved_s: float) -> None:
        """End; the totals hold the driver and this much of executors beside those that were observed."""
        observed = sum(
            row.memory_mib * ((row.end_ms or T0 + at_s * 1000) - row.start_ms)
            for row in self.world.sql("SELECT * FROM container_usage")
        )
        self.rm.end(
            T0 + at_s * 1000,
            memory_seconds=round(observed / 1000 + MIB * unobserved_s),
            vcore_seconds=round(4 * at_s + unobserved_s),
        )
        self.poll(at_s, at_s + 10)

    @property
    def executors(self) -> dict[str, Any]:
        return {
            row.container_id: row
            for row in self.world.sql("SELECT * FROM container_usage WHERE container_id <> %s", self.driver)
        }

    def counted(self) -> tuple[float, float]:
        """Return the MiB-seconds that containers have, and those that the ResourceManager counted."""
        held = self.world.one("SELECT sum(memory_mib * (end_ms - start_ms)) FROM container_usage")
        return float(held) / 1000, self.world.one("SELECT memory_mib_seconds FROM application_usage")


@pytest.fixture
def program(world: World, rm: FakeResourceManager) -> Program:
    program = Program(world, rm)
    program.poll(0, 40)
    return program


def test_an_executor_between_two_polls_is_paid_where_it_was(world: World, program: Program) -> None:
    program.claim(2, 20.2, 21.8)
    program.end(40, unobserved_s=1.6)

    (row,) = program.executors.values()
    assert (row.role, row.memory_mib, row.vcores, row.end_kind) == ("executor", MIB, 1, "finished")
    assert row.machine_id == program.nodes[1][1]
    assert row.end_ms - row.start_ms == pytest.approx(1600, abs=10)
    world.sql("UPDATE job SET status = 'succeeded', ended_ms = %s", T0 + 40_000)
    program.poll(300, 320)
    settle(T0 + 5 * MINUTE)
    assert world.one("SELECT captured_ucr FROM payout WHERE machine = %s", program.nodes[1][1]) > 400
    assert world.violations() == []


def test_logs_that_take_long_are_left_to_later_polls(
    world: World, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "LOGS_S", -1.0)
    program.claim(2, 20.2, 21.8)
    program.end(40, unobserved_s=1.6)
    assert program.logs_read == 0
    assert not world.one("SELECT final FROM application_usage")
    monkeypatch.setattr(polling, "LOGS_S", 3.0)
    program.poll(50, 54)
    assert world.one("SELECT final FROM application_usage")
    (row,) = program.executors.values()
    assert row.end_ms - row.start_ms == pytest.approx(1600, abs=10), "nothing of it is lost"


def test_the_log_is_not_read_where_all_was_observed(program: Program) -> None:
    program.claim(2, 20, 22)
    program.end(40, unobserved_s=0.5)
    assert program.logs_read == 0
    assert program.executors == {}


def test_a_forged_log_raises_no_charge_and_takes_nothing_from_who_was_observed(
    world: World, rm: FakeResourceManager, program: Program
) -> None:
    observed = rm.start(2, program.nodes[1][0], T0 + 40_000, mib=MIB)
    program.poll(40, 80)
    for number in range(3, 300):
        program.claim(number, 41, 50, node=program.nodes[2][0])
    program.end(80, unobserved_s=2)

    held, counted = program.counted()
    assert held <= counted
    honest = program.executors[observed]
    assert honest.end_ms - honest.start_ms == pytest.approx(40_000, abs=100)
    forged = [row for name, row in program.executors.items() if name != observed]
    assert sum(row.end_ms - row.start_ms for row in forged) <= 2000
    assert {row.end_kind for row in forged} == {"finished"}, "nothing of it is refunded"


@pytest.mark.parametrize(
    ("case", "number", "start_s", "end_s"),
    [
        ("longer than two polls are apart", 2, 5, 25),
        ("before the application", 2, -30, -20),
        ("after it", 2, 60, 70),
        ("the driver's container", 1, 5, 7),
        ("of another application", "container_1_0002_01_000002", 5, 7),
        ("of another attempt, which may be refunded by now", "container_1_0001_02_000002", 5, 7),
        ("no container", "x", 5, 7),
    ],
)
def test_a_claim_that_cannot_be_true_is_not_believed(
    program: Program, case: str, number: Any, start_s: float, end_s: float
) -> None:
    other = {"container": number} if isinstance(number, str) else {}
    program.claim(2 if other else number, start_s, end_s, **other)
    program.end(40, unobserved_s=5)
    assert program.executors == {}


def test_after_a_pause_of_the_meter_a_long_life_is_believed(program: Program) -> None:
    program.poll(100, 104)
    program.claim(2, 45, 95)
    program.end(104, unobserved_s=50)
    (row,) = program.executors.values()
    assert row.end_ms - row.start_ms == pytest.approx(50_000, abs=10)


@pytest.mark.parametrize("node", ["10.9.9.9:8041", "the pool's"])
def test_a_machine_that_was_not_there_with_that_type_earns_nothing(program: Program, node: str) -> None:
    program.claim(2, 20, 22, node=program.nodes[0][0] if node == "the pool's" else node)
    program.end(40, unobserved_s=2)
    (row,) = program.executors.values()
    assert (row.machine_id, row.host) == (None, "unregistered machine")
