"""The ways in which YARN's own figures were wrong in practice, with the figures that it gave.

Recorded from a ResourceManager and NodeManagers of Hadoop 3.3.6. The same against the running cluster:
tests/system/metering/test_metering.py, and tests/system/machines/test_machines.py for a machine that dies
under a job.
"""

from __future__ import annotations

from typing import Any

import pytest
from ledger_world import MINUTE, T0, World
from metering.conftest import APP, FakeResourceManager

from market.credits.settlement.steps import settle
from market.metering.meter import poll_once

pytestmark = pytest.mark.database


@pytest.fixture
def node(world: World, rm: FakeResourceManager) -> str:
    """A job runs on this machine."""
    buyer = world.member()
    machine = world.machine(world.member())
    rm.run(world.job(buyer), T0)
    world.sql("DELETE FROM application_usage")
    address = str(
        world.one("SELECT ip_address || ':' || service_port FROM machine WHERE machine_id = %s", machine)
    )
    rm.node(address)
    return address


def poll(rm: FakeResourceManager, *seconds: int) -> None:
    for second in seconds:
        poll_once(rm, T0 + second * 1000)


def usage(world: World) -> Any:
    return world.sql("SELECT * FROM application_usage")[0]


def held_mib_s(world: World) -> float:
    return float(world.one("SELECT sum(memory_mib * (end_ms - start_ms)) FROM container_usage")) / 1000


def finished(rm: FakeResourceManager, second: int, **figures: int) -> None:
    rm.end(T0 + second * 1000, running_containers=0, **figures)


def test_usage_that_grows_after_the_end_is_counted(world: World, rm: FakeResourceManager, node: str) -> None:
    """FINISHED with four containers alive: 21 637 MiB s then, 22 013 seven seconds later."""
    for number in range(1, 5):
        rm.start(number, node, T0, mib=256)
    poll(rm, 2, 20)
    rm.change(state="FINISHED", final_status="SUCCEEDED", finished_ms=T0 + 21_000, running_containers=4)
    rm.change(memory_seconds=21_637, vcore_seconds=85)
    poll(rm, 21)
    assert not usage(world).final
    finished(rm, 21, memory_seconds=22_013, vcore_seconds=86)
    poll(rm, 28, 30, 34)
    assert (usage(world).final, usage(world).memory_mib_seconds) == (True, 22_013)
    assert 22_000 <= held_mib_s(world) <= 22_013 + 4


def test_a_total_that_falls_to_zero_and_comes_back_too_low_is_kept_at_its_highest(
    world: World, rm: FakeResourceManager, node: str
) -> None:
    """Restart with the application running: 36 309, then 0, then 53 550, where some 62 800 were due."""
    executor = rm.start(2, node, T0, mib=1024)
    rm.change(memory_seconds=36_309)
    poll(rm, 2, 36)
    rm.started_on = T0 + 37_000
    rm.change(memory_seconds=0)
    poll(rm, 40)
    assert usage(world).memory_mib_seconds == 36_309
    rm.change(memory_seconds=53_550)
    poll(rm, 50, 60)
    assert usage(world).memory_mib_seconds == 53_550
    finished(rm, 61, memory_seconds=53_550, vcore_seconds=61)
    poll(rm, 62, 64, 70)
    row = world.sql("SELECT * FROM container_usage WHERE container_id = %s", executor)[0]
    assert row.end_ms - row.start_ms == 60_000, "what was observed counts, not a total that lost its past"


@pytest.mark.parametrize(("before", "after"), [(22_013, 21_637), (1_629, 1_462), (2_052, 1_716)])
def test_a_finished_application_is_not_read_again(
    world: World, rm: FakeResourceManager, node: str, before: int, after: int
) -> None:
    """Restart with the application finished: its total falls by up to a sixth."""
    rm.start(2, node, T0, mib=256)
    poll(rm, 2, before // 256)
    finished(rm, before // 256, memory_seconds=before, vcore_seconds=before // 256)
    poll(rm, *(before // 256 + more for more in (1, 3, 9)))
    charged = held_mib_s(world)
    assert usage(world).final
    rm.started_on = T0 + 200_000
    rm.change(memory_seconds=after, preempted_memory_seconds=after)
    poll(rm, 300, 310, 320)
    assert usage(world).memory_mib_seconds == before
    assert held_mib_s(world) == charged


def test_preemption_that_a_restart_invents_makes_nothing_free(
    world: World, rm: FakeResourceManager, node: str
) -> None:
    """After the restart the preempted figure equals the total: total less preempted would charge nothing."""
    executor = rm.start(2, node, T0)
    poll(rm, 2, 30)
    rm.started_on = T0 + 31_000
    rm.change(memory_seconds=30_720, preempted_memory_seconds=30_720, preempted_vcore_seconds=30)
    poll(rm, 32, 60)
    rm.stop(executor)
    poll(rm, 100, 102)
    assert world.one("SELECT end_kind FROM container_usage") == "finished"
    finished(rm, 103, memory_seconds=61_440, vcore_seconds=60, preempted_memory_seconds=61_440)
    poll(rm, 104, 106, 112)
    world.sql("UPDATE job SET status = 'succeeded', ended_ms = %s", T0 + 103_000)
    poll(rm, 360, 400)
    settle(T0 + 5 * MINUTE)
    assert world.one("SELECT sum(used_ucr) FROM account") == 1_004_000 * 60 // 3600


def test_a_machine_that_fell_silent_is_not_paid_for_the_silence(
    world: World, rm: FakeResourceManager, node: str
) -> None:
    """Usage and uptime go on in YARN's figures until the node's expiry; then it is LOST."""
    executor = rm.start(2, node, T0)
    poll(rm, *range(0, 120, 10))
    rm.stop(executor)
    rm.node(node, "LOST")
    poll(rm, 120, 130)
    finished(rm, 121, state="FAILED", final_status="FAILED", memory_seconds=122_880, vcore_seconds=120)
    poll(rm, 132, 134, 140)
    world.sql("UPDATE job SET status = 'lost', ended_ms = %s", T0 + 121_000)
    poll(rm, 400)
    settle(T0 + 5 * MINUTE)
    assert world.one("SELECT sum(used_ucr) FROM account") == 0
    assert world.one("SELECT online_ms FROM uptime_line") == 60_000


def test_nodes_that_a_restarted_resource_manager_does_not_list_keep_their_past(
    world: World, rm: FakeResourceManager, node: str
) -> None:
    """Restart with a LOST node: it is in no list of any state."""
    poll(rm, 0, 10, 20)
    rm.node(node, "LOST")
    poll(rm, 30)
    rm.started_on = T0 + 40_000
    rm.members.clear()
    poll(rm, 50, 60)
    assert world.one("SELECT count(*) FROM machine_presence") == 1
    assert world.one("SELECT max(to_ms) - min(from_ms) FROM machine_presence") <= 20_000


def test_an_application_beyond_the_retention_is_closed_with_what_was_observed(
    world: World, rm: FakeResourceManager, node: str
) -> None:
    """With a limit of three, the oldest of five finished applications is 404."""
    rm.start(2, node, T0)
    poll(rm, 2, 20)
    del rm.listed[APP.application_id]
    rm.live.clear()
    poll(rm, 30, 90)
    assert usage(world).final
    assert held_mib_s(world) == 20 * 1024
