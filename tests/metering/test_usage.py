from __future__ import annotations

from dataclasses import replace

import pytest
from metering.conftest import APP

from market.cluster.resourcemanager import Node
from market.metering.usage import (
    KnownContainer,
    attempt_of,
    endings_of_ended,
    endings_while_running,
    is_first,
)

NODE = "10.0.0.1:8041"
KNOWN = KnownContainer("container_1_0001_01_000002", "a", "executor", NODE, 1, 1024, 0, 10_000, None, None)


def node(state: str) -> dict[str, Node]:
    return {NODE: Node(NODE, "10.0.0.1", 8041, state, "", 0, 0, 0, 0, 0, (), 0, "")}


def ended(containers: list[KnownContainer], memory: int, vcores: int, **changes: object) -> list[int]:
    app = replace(
        APP,
        state="FINISHED",
        final_status="SUCCEEDED",
        memory_seconds=memory,
        vcore_seconds=vcores,
        **changes,  # type: ignore[arg-type]
    )
    endings = endings_of_ended(containers, app, 0, node("RUNNING"), {}, at_ms=20_000)
    return [ending.end_ms for ending in endings]


def test_ids_tell_attempt_and_driver() -> None:
    assert attempt_of("container_e07_1795553157423_0003_02_000001") == 2
    assert is_first("container_e07_1795553157423_0003_02_000001")
    assert not is_first("container_1795553157423_0003_01_000010")


@pytest.mark.parametrize(
    ("state", "kind", "end_ms"),
    [
        ("RUNNING", "finished", 10_000),
        ("LOST", "node_lost", 12_000),
        ("UNHEALTHY", "node_lost", 12_000),
        ("DECOMMISSIONING", "drained", 10_000),
        ("SHUTDOWN", "drained", 10_000),
    ],
)
def test_the_node_says_why_a_container_is_gone(state: str, kind: str, end_ms: int) -> None:
    (ending,) = endings_while_running([KNOWN], node(state), 0, at_ms=12_000)
    assert (ending.kind, ending.end_ms) == (kind, end_ms)


def test_a_node_that_is_not_listed_any_more_is_lost() -> None:
    (ending,) = endings_while_running([KNOWN], {}, 0, at_ms=12_000)
    assert ending.kind == "node_lost"


def test_the_preemption_counter_says_which_container_it_was() -> None:
    small = replace(KNOWN, container_id="container_1_0001_01_000003", memory_mib=512)
    endings = endings_while_running([KNOWN, small], node("RUNNING"), 512 * 10 + 700, at_ms=12_000)
    assert {ending.container_id: ending.kind for ending in endings} == {
        KNOWN.container_id: "finished",
        small.container_id: "preempted",
    }


def test_the_totals_say_when_a_container_ended_between_two_polls() -> None:
    gone = replace(KNOWN, gone_ms=12_000)
    assert ended([gone], memory=1024 * 11 - 1, vcores=11) == [11_000]


def test_all_containers_together_never_exceed_the_totals() -> None:
    closed = replace(KNOWN, container_id="container_1_0001_01_000003", end_ms=8_000)
    gone = replace(KNOWN, gone_ms=12_000)
    (end_ms,) = ended([closed, gone], memory=1024 * 18, vcores=30)
    assert end_ms == 10_001  # rounding: less than a MiB and second for each
    assert ended([closed, gone], memory=0, vcores=0) == [10_000]
    assert ended([closed, gone], memory=10**9, vcores=10**9) == [12_000]


def test_cores_bound_it_as_well() -> None:
    assert ended([replace(KNOWN, gone_ms=14_000)], memory=10**9, vcores=10) == [11_000]


def test_a_restarted_resource_manager_knows_too_little() -> None:
    """Its totals begin at its own start: what was observed counts, and what the driver's attempt says."""
    driver = replace(KNOWN, container_id="container_1_0001_01_000001", role="driver", gone_ms=14_000)
    app = replace(APP, state="FINISHED", final_status="SUCCEEDED", started_ms=1, finished_ms=11_500)
    endings = endings_of_ended(
        [KNOWN, driver], app, 5_000, node("RUNNING"), {driver.container_id: 11_500}, at_ms=20_000
    )
    assert [ending.end_ms for ending in endings] == [10_000, 11_500]


@pytest.mark.parametrize(
    ("state", "final_status", "node_state", "kind"),
    [
        ("FINISHED", "SUCCEEDED", "LOST", "finished"),
        ("FINISHED", "FAILED", "RUNNING", "killed"),
        ("FAILED", "FAILED", "LOST", "node_lost"),
        ("FAILED", "FAILED", "DECOMMISSIONED", "drained"),
        ("FAILED", "FAILED", "DECOMMISSIONING", "killed"),
        ("KILLED", "KILLED", "LOST", "killed"),
    ],
)
def test_the_end_of_an_application_ends_its_containers(
    state: str, final_status: str, node_state: str, kind: str
) -> None:
    app = replace(APP, state=state, final_status=final_status)
    (ending,) = endings_of_ended([KNOWN], app, 0, node(node_state), {}, at_ms=20_000)
    assert ending.kind == kind
