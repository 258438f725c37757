"""Machines while nothing else runs: one is measured, and the ResourceManager is started again."""

from __future__ import annotations

from typing import Any

import pytest
from nodes import size
from people import until

from market.cluster.errors import ClusterUnavailable
from market.kit import settings
from market.ops.run.supervisor import Supervisor

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def test_a_machine_is_measured_and_verified(lend: Any) -> None:
    agent = lend("measured")
    record = agent.wait("active")
    path = f"/machines/{record['machine_id']}"
    agent.owner.rest.post(f"{path}/verify")
    found = until(
        lambda: [
            one
            for one in agent.owner.rest.get(f"{path}/verifications")["verifications"]
            if one["outcome"] not in ("running", "none")
        ],
        "a measurement",
        150,
    )[0]
    assert found["outcome"] == "good", found
    assert min(found["core_speed"], found["speed"], found["memory_speed"]) > 0
    now = agent.record()
    assert (now["trust"], now["verified_time"]) == (1, found["end_time"])


def test_a_resize_and_a_restart_of_the_resourcemanager_are_not_forgotten(
    stack: settings.Settings, lend: Any
) -> None:
    agent = lend("resized")
    record = agent.wait("active")
    path = f"/machines/{record['machine_id']}"
    assert agent.processors() == 1
    answer = agent.owner.rest.post(f"{path}/resize", {"core_count": 2, "memory_size": 1280})
    assert (answer["core_count"], answer["memory_size"]) == (2, 1280)
    until(lambda: size(record) == ("RUNNING", ("cpu",), 2, 1280), "the new size in YARN", 20)
    until(lambda: agent.processors() == 2, "its processes to be let on another processor", 20)
    too_much = agent.owner.send("POST", f"{path}/resize", json={"core_count": 1024})
    assert (too_much.status_code, set(too_much.json()["errors"])) == (422, {"core_count"})
    supervisor = Supervisor(stack)
    supervisor.stop("resourcemanager")
    supervisor.start("resourcemanager")

    def known() -> bool:
        try:
            return size(record) == ("RUNNING", ("cpu",), 2, 1280)
        except ClusterUnavailable:
            return False

    until(known, "the machine after the restart")
    assert agent.record()["machine_id"] == record["machine_id"]
    agent.wait("active")
    agent.kill_nodemanager()
    until(lambda: "started again" in agent.said(), "a new NodeManager")
    until(known, "the size after its start")
    agent.wait("active")
