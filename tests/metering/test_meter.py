from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ledger_world import MINUTE, T0, World
from metering.conftest import APP, FakeResourceManager

from market.cluster.resourcemanager import Attempt
from market.credits.settlement.steps import settle
from market.hadoop.allocation import container_mib
from market.kit import isolation
from market.metering import changes, meter
from market.metering.meter import poll_once

pytestmark = pytest.mark.database

JOB_APP = APP.application_id


@pytest.fixture
def job(world: World, rm: FakeResourceManager) -> str:
    """Submit a job that runs on two machines; no poll has observed its application yet."""
    buyer = world.member()
    job_id = world.job(buyer)
    world.sql("DELETE FROM application_usage")
    rm.run(job_id, T0)
    return job_id


def machine(world: World, rm: FakeResourceManager, lent: bool = True) -> str:
    """Register a machine whose node runs; return its node id."""
    machine_id = world.machine(world.member() if lent else None)
    node_id = str(
        world.one("SELECT ip_address || ':' || service_port FROM machine WHERE machine_id = %s", machine_id)
    )
    rm.node(node_id)
    return node_id


def containers(world: World) -> dict[str, Any]:
    return {row.container_id: row for row in world.sql("SELECT * FROM container_usage")}


def end_job(world: World, job: str, at_ms: int) -> None:
    world.sql("UPDATE job SET status = 'succeeded', ended_ms = %s WHERE job_id = %s", at_ms, job)


def test_a_short_job_is_metered_to_the_second(world: World, rm: FakeResourceManager, job: str) -> None:
    pool, lent = machine(world, rm, lent=False), machine(world, rm)
    poll_once(rm, T0)
    driver = rm.start(1, pool, T0 + 300)
    poll_once(rm, T0 + 2_000)
    executor = rm.start(2, lent, T0 + 2_500, vcores=2, mib=2048)
    for second in (4, 6, 8):
        poll_once(rm, T0 + second * 1000)
    # The executor ended at 9.1 s, the driver at 9.4 s.
    rm.end(T0 + 9_400, memory_seconds=(9_100 + 2 * 6_600) * 1024 // 1000, vcore_seconds=22)
    for second in (10, 12, 14, 16):
        poll_once(rm, T0 + second * 1000)

    metered = containers(world)
    assert metered[driver].role == "driver"
    assert metered[executor].role == "executor"
    assert metered[executor].machine_id == world.one(
        "SELECT machine_id FROM machine WHERE user_id IS NOT NULL"
    )
    assert metered[driver].start_ms == T0 + 300
    assert metered[driver].end_ms == pytest.approx(T0 + 9_250, abs=200)
    assert metered[executor].end_ms == pytest.approx(T0 + 9_250, abs=200)
    assert metered[executor].end_kind == "finished"
    usage = world.sql("SELECT * FROM application_usage")[0]
    assert (usage.final, usage.final_ms) == (True, T0 + 14_000)
    held = sum(row.memory_mib * (row.end_ms - row.start_ms) for row in metered.values())
    assert held / 1000 <= usage.memory_mib_seconds + len(metered)

    requests = rm.requests
    poll_once(rm, T0 + 18_000)
    assert rm.requests - requests == 5, "a final application is not read again"


def test_an_application_that_waits_costs_no_request(world: World, rm: FakeResourceManager, job: str) -> None:
    lent = machine(world, rm)
    rm.change(state="ACCEPTED")
    requests = rm.requests
    poll_once(rm, T0 + 2_000)
    assert rm.requests - requests == 5, "the same whatever waits"

    rm.change(state="RUNNING")
    executor = rm.start(1, lent, T0 + 3_000)
    poll_once(rm, T0 + 4_000)
    assert list(containers(world)) == [executor]


def test_the_settlement_charges_what_was_metered(world: World, rm: FakeResourceManager, job: str) -> None:
    lent = machine(world, rm)
    rm.start(1, lent, T0)
    for second in range(0, 60, 2):
        poll_once(rm, T0 + second * 1000)
    rm.end(T0 + 59_000, memory_seconds=59 * 1024, vcore_seconds=59)
    end_job(world, job, T0 + 59_000)
    for second in range(60, 320, 20):
        poll_once(rm, T0 + second * 1000)

    settle(T0 + 5 * MINUTE)

    assert world.hold(job).captured_ucr == pytest.approx(1_004_000 * 59 // 3600, rel=0.001)
    assert not world.hold(job).open
    assert world.violations() == []


def test_a_driver_that_no_poll_observed_is_charged_by_its_attempt(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    pool = machine(world, rm, lent=False)
    poll_once(rm, T0)
    rm.run(job, T0 + 30_000)
    rm.tried[JOB_APP] = [
        Attempt(
            "appattempt_1_0001_000001", "container_1_0001_01_000001", pool, "", "", T0 + 30_000, T0 + 90_000
        )
    ]
    rm.end(T0 + 90_000, memory_seconds=60 * container_mib(512), vcore_seconds=60)
    for minute in (3, 4, 5):
        poll_once(rm, T0 + minute * MINUTE)

    (driver,) = containers(world).values()
    assert (driver.role, driver.memory_mib, driver.vcores) == ("driver", container_mib(512), 1)
    assert driver.end_ms - driver.start_ms == pytest.approx(60_000, abs=10)


def test_an_application_that_ends_is_final_only_after_two_equal_reads(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    """The totals go on rising after FINISHED, while containers are still there."""
    lent = machine(world, rm)
    executor = rm.start(2, lent, T0)
    poll_once(rm, T0 + 2_000)
    rm.change(state="FINISHED", final_status="SUCCEEDED", finished_ms=T0 + 3_000, running_containers=1)
    rm.change(memory_seconds=3 * 1024, vcore_seconds=3)
    for second in (4, 6, 8, 10):
        poll_once(rm, T0 + second * 1000)
    assert not world.one("SELECT final FROM application_usage")
    assert containers(world)[executor].last_seen_ms == T0 + 10_000

    rm.end(T0 + 3_000, running_containers=0, memory_seconds=11 * 1024, vcore_seconds=11)
    for second in (12, 14, 16):
        poll_once(rm, T0 + second * 1000)
    assert world.one("SELECT final FROM application_usage")
    assert containers(world)[executor].end_ms == pytest.approx(T0 + 11_000, abs=20)


def test_the_totals_never_fall_and_a_restart_ends_nothing(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    lent = machine(world, rm)
    executor = rm.start(2, lent, T0)
    rm.change(memory_seconds=36_309)
    poll_once(rm, T0 + 60_000)

    rm.started_on = T0 + 61_000
    rm.change(memory_seconds=0)
    kept, rm.live[JOB_APP] = rm.live[JOB_APP], []
    poll_once(rm, T0 + 62_000)
    poll_once(rm, T0 + 80_000)
    assert containers(world)[executor].end_ms is None
    rm.live[JOB_APP] = kept
    rm.change(memory_seconds=900)
    poll_once(rm, T0 + 90_000)

    assert containers(world)[executor].last_seen_ms == T0 + 90_000
    assert world.one("SELECT memory_mib_seconds FROM application_usage") == 36_309
    assert world.one("SELECT epoch_ms FROM meter_mark") == T0 + 61_000


def test_what_a_restarted_resource_manager_started_itself_ends_when_it_is_gone(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    """Else what Spark hands back unused in the minute after a restart is charged until the job ends."""
    lent = machine(world, rm)
    before = rm.start(2, lent, T0)
    poll_once(rm, T0 + 10_000)
    rm.started_on = T0 + 11_000
    unused = rm.start(3, lent, T0 + 12_000)
    poll_once(rm, T0 + 14_000)
    rm.stop(unused)
    rm.stop(before)
    poll_once(rm, T0 + 16_000)

    assert containers(world)[unused].end_ms == T0 + 14_000
    assert containers(world)[before].end_ms is None, "its node may only have to come back"


def test_preemption_counters_of_a_restarted_resource_manager_earn_nothing(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    lent = machine(world, rm)
    executor = rm.start(2, lent, T0)
    poll_once(rm, T0 + 10_000)
    rm.started_on = T0 + 11_000
    rm.change(preempted_memory_seconds=10**6)
    poll_once(rm, T0 + 12_000)
    rm.stop(executor)
    poll_once(rm, T0 + 80_000)
    assert containers(world)[executor].end_kind == "finished"


def test_a_lost_node_ends_its_containers_and_its_uptime(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    lent = machine(world, rm)
    executor = rm.start(2, lent, T0)
    for second in range(0, 120, 10):
        poll_once(rm, T0 + second * 1000)
    rm.node(lent, "LOST")
    rm.stop(executor)
    poll_once(rm, T0 + 120_000)
    poll_once(rm, T0 + 130_000)

    lost = containers(world)[executor]
    assert (lost.end_kind, lost.end_ms) == ("node_lost", T0 + 120_000)
    assert world.one("SELECT max(to_ms) FROM machine_presence") == T0 + 60_000


def test_a_node_that_is_lost_during_a_poll_ends_nothing_well(
    world: World, rm: FakeResourceManager, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent = machine(world, rm)
    executor = rm.start(2, lent, T0)
    poll_once(rm, T0)

    def lost_now(application_id: str) -> list[Any]:
        rm.node(lent, "LOST")
        return []

    monkeypatch.setattr(rm, "containers", lost_now)
    poll_once(rm, T0 + 10_000)
    assert containers(world)[executor].end_kind == "node_lost"


def test_presence_is_that_of_active_machines_and_has_gaps(world: World, rm: FakeResourceManager) -> None:
    machine(world, rm)
    draining = machine(world, rm)
    world.sql("UPDATE machine SET state = 'draining' WHERE ip_address = %s", draining.split(":")[0])
    for second in (0, 2, 4, 60, 62):
        poll_once(rm, T0 + second * 1000)
    stretches = world.sql(
        "SELECT from_ms - %s AS a, to_ms - %s AS b FROM machine_presence ORDER BY 1", T0, T0
    )
    assert [(row.a, row.b) for row in stretches] == [(0, 4_000), (60_000, 62_000)]


def test_presence_begins_with_the_first_good_measurement(world: World, rm: FakeResourceManager) -> None:
    machine(world, rm)
    world.sql("UPDATE machine SET verified_ms = NULL")
    poll_once(rm, T0)
    assert world.sql("SELECT * FROM machine_presence") == []
    world.sql("UPDATE machine SET verified_ms = %s", T0 + 1_000)
    poll_once(rm, T0 + 2_000)
    assert world.one("SELECT from_ms FROM machine_presence") == T0 + 2_000


def test_a_canary_is_nobody_s_job_and_raises_no_alert(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    lent = machine(world, rm)
    world.sql(
        "INSERT INTO verification (verification_id, machine_id, core_count, started_ms)"
        " SELECT repeat('c', 32), machine_id, 1, %s FROM machine",
        T0,
    )
    rm.change(user="spark", tags=("canary-" + "c" * 32,))
    rm.start(2, lent, T0)
    poll_once(rm, T0 + 2_000)
    assert world.sql("SELECT * FROM alert") == []
    assert containers(world) == {}


def test_a_node_that_nobody_registered_has_no_machine(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    rm.node("10.9.9.9:45999")
    rm.start(2, "10.9.9.9:45999", T0)
    poll_once(rm, T0 + 2_000)
    (row,) = containers(world).values()
    assert (row.machine_id, row.host) == (None, "unregistered machine")


def test_what_the_resource_manager_forgot_is_closed_as_it_was_observed(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    lent = machine(world, rm)
    executor = rm.start(2, lent, T0)
    poll_once(rm, T0 + 10_000)
    rm.listed.clear()
    rm.live.clear()
    poll_once(rm, T0 + 20_000)
    assert containers(world)[executor].end_ms is None
    poll_once(rm, T0 + 80_000)
    assert containers(world)[executor].end_ms == T0 + 10_000
    assert world.one("SELECT final FROM application_usage")


def test_a_poll_that_comes_late_changes_nothing(world: World, rm: FakeResourceManager, job: str) -> None:
    lent = machine(world, rm)
    rm.start(2, lent, T0)
    assert poll_once(rm, T0 + 10_000)
    rm.live.clear()
    assert not poll_once(rm, T0 + 8_000)
    assert world.one("SELECT max(last_seen_ms) FROM container_usage") == T0 + 10_000
    assert world.one("SELECT at_ms FROM meter_mark") == T0 + 10_000


def test_a_clock_that_steps_back_is_told_and_stops_nothing(
    world: World, rm: FakeResourceManager, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent, hour_ms = machine(world, rm), 3_600_000
    now = [T0 + hour_ms]
    monkeypatch.setattr(meter.clock, "now_ms", lambda: now[0])
    rm.started_on = T0 + hour_ms - 90_000
    old = rm.start(2, lent, now[0] - 10_000)
    assert poll_once(rm)
    now[0] -= hour_ms - 500_000
    new = rm.start(3, lent, now[0])
    for _ in range(30):  # a minute of new time
        assert poll_once(rm)
        now[0] += 2_000
    rm.live.clear()
    rm.end(now[0] - 1000, memory_seconds=0, vcore_seconds=0)
    for _ in range(4):
        assert poll_once(rm)
        now[0] += 2_000
    ends = {name: row.end_ms - row.start_ms for name, row in containers(world).items()}
    assert ends[old] == 10_000, "what was observed before stays, and nothing is added to it"
    assert 55_000 <= ends[new] <= 62_000, "what came after is charged for what it held"
    assert world.one("SELECT final FROM application_usage")
    assert world.sql("SELECT kind, detail FROM alert") == [
        (
            "clock_stepped_back",
            "The market's clock stepped back by 3100 s: what ran then is charged no more before"
            " 2023-11-14T23:15+00:00.",
        )
    ]


def test_samples_are_taken_now_and_then_and_kept_until_they_are_settled(
    world: World, rm: FakeResourceManager
) -> None:
    world.member()
    machine(world, rm)
    for second in range(0, 60, 2):
        poll_once(rm, T0 + second * 1000)
    assert world.one("SELECT count(*) FROM demand_sample") == 6
    poll_once(rm, T0 + 4 * 86_400_000)
    assert world.one("SELECT count(*) FROM demand_sample") == 7, "the settlement has not read them yet"
    settle(T0 + 5 * MINUTE)
    world.sql("UPDATE demand_sample SET at_ms = at_ms - 1")
    poll_once(rm, T0 + 4 * 86_400_000 + 20_000)
    assert world.one("SELECT count(*) FROM demand_sample WHERE at_ms > %s", T0 + 5 * MINUTE) == 2


def test_the_settlement_never_takes_back_the_time_for_which_a_container_was_observed(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    lent = machine(world, rm)
    executor = rm.start(2, lent, T0)
    for second in range(0, 400, 20):
        poll_once(rm, T0 + second * 1000)
    settle(T0 + 5 * MINUTE)
    rm.stop(executor)
    for second in range(400, 420, 2):
        poll_once(rm, T0 + second * 1000)
    end_job(world, job, T0 + 405_000)
    rm.end(T0 + 405_000, memory_seconds=1, vcore_seconds=1)
    for second in range(420, 1200, 60):
        poll_once(rm, T0 + second * 1000)
    settle(T0 + 10 * MINUTE)
    assert world.violations() == []
    assert not world.hold(job).open


def test_attempts_are_counted_through_all_applications_of_a_job(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    lent = machine(world, rm)
    rm.start(1, lent, T0)
    poll_once(rm, T0 + 2_000)
    rm.run(job, T0 + 2_500, "application_1_0002")
    rm.live["application_1_0002"] = [
        replace(container, container_id="container_1_0002_01_000001")
        for container in rm.live[APP.application_id]
    ]
    poll_once(rm, T0 + 4_000)
    executor = rm.start(2, lent, T0 + 5_000)
    poll_once(rm, T0 + 6_000)
    attempts = {row.container_id: row.attempt for row in containers(world).values()}
    assert attempts == {
        "container_1_0001_01_000001": 1,
        executor: 1,
        "container_1_0002_01_000001": 11,
    }


def test_one_application_that_cannot_be_written_stops_no_other(
    world: World, rm: FakeResourceManager, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent = machine(world, rm)
    other_job = world.job(world.member())
    world.sql("DELETE FROM application_usage WHERE job_id = %s", other_job)
    username = world.one("SELECT username FROM member JOIN job USING (user_id) WHERE job_id = %s", other_job)
    other_app = "application_1_0002"
    poll_once(rm, T0)
    rm.run(other_job, T0, other_app)
    rm.change(other_app, user=username)
    container = rm.start(2, lent, T0 + 1_000)
    write = changes.save_containers

    def bad(cursor: Any, rows: Any, place: int) -> None:
        if any(row["application_id"] == JOB_APP for row in rows):
            write(cursor, [{**row, "container_id": "\0"} for row in rows], place)
        write(cursor, rows, place)

    monkeypatch.setattr(changes, "save_containers", bad)
    for second in range(2, 2 + 2 * isolation.MOST_FAILURES, 2):
        world.sql("UPDATE setback SET next_ms = 0")
        poll_once(rm, T0 + second * 1_000)
        assert world.one("SELECT at_ms FROM meter_mark") == T0 + second * 1_000, "the meter goes on"
    rows = {row.application_id: row.final for row in world.sql("SELECT * FROM application_usage")}
    assert rows == {JOB_APP: True, other_app: False}, "it is given up, with what was seen of it before"
    assert container not in containers(world)
    assert world.one("SELECT subject FROM alert") == "metering"


def test_one_application_that_cannot_be_read_stops_no_other(
    world: World, rm: FakeResourceManager, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent = machine(world, rm)
    poll_once(rm, T0)
    rm.start(2, lent, T0 + 1_000)
    with monkeypatch.context() as patch:
        patch.setattr(rm, "attempts", lambda _: 1 / 0)
        assert poll_once(rm, T0 + 2_000)
    assert world.one("SELECT failures FROM setback WHERE subject = %s", JOB_APP) == 1
    world.sql("UPDATE setback SET next_ms = 0")
    poll_once(rm, T0 + 4_000)
    assert len(containers(world)) == 1
