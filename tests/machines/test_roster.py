"""What a pass over the machines does, against a ResourceManager that the test plays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from market.cluster.errors import ClusterRefused
from market.cluster.resourcemanager import Node
from market.kit import alerts, clock
from market.kit.errors import ConflictError
from market.kit.paging import Page
from market.kit.settings import load
from market.machines import registry, roster
from market.machines.admission import HostLists

pytestmark = pytest.mark.database

MINUTE = 60_000
NOBODY_LENDS = {"nobody.invalid", "127.0.0.2"}  # the second is the market's own machine


@dataclass
class Yarn:
    """A ResourceManager: nodes come and go as the test says; the lists are read when told to."""

    members: dict[str, Node] = field(default_factory=dict)
    known_labels: list[str] = field(default_factory=list)
    started_ms: int = 0
    include: set[str] = field(default_factory=set)
    exclude: str = ""
    refreshed: int = 0
    failing: bool = False
    folder: Any = None

    def info(self) -> dict[str, Any]:
        return {"startedOn": self.started_ms}

    def nodes(self, states: str | None = None) -> list[Node]:
        return list(self.members.values())

    def labels(self) -> list[str]:
        return self.known_labels

    def add_labels(self, names: Iterable[str]) -> None:
        self.known_labels += names

    def replace_labels(self, by_node: Mapping[str, list[str]]) -> None:
        for node_id, labels in by_node.items():
            if node_id in self.members:
                self.members[node_id] = replace(self.members[node_id], labels=tuple(labels))

    def set_node_resource(self, node_id: str, mib: int, vcores: int, timeout_ms: int = -1) -> None:
        self.members[node_id] = replace(self.members[node_id], total_mib=mib, total_vcores=vcores)

    def refresh(self, timeout_s: int) -> None:
        if self.failing:
            raise ClusterRefused("-refreshNodes failed")
        self.refreshed += 1
        self.include = set((self.folder / "nodes.include").read_text().split())
        self.exclude = (self.folder / "nodes.exclude.xml").read_text()

    def run(self, host: str, state: str = "RUNNING", port: int = 8041, mib: int = 4096, cores: int = 4):
        node_id = f"{host}:{port}"
        labels = self.members[node_id].labels if node_id in self.members else ()
        self.members[node_id] = Node(
            node_id, host, port, state, f"{host}:1", mib, cores, 0, 0, 0, labels, 0, "disk is full"
        )


@dataclass
class Roster:
    """Passes over the machines of `lenders`, at a clock that the test moves."""

    yarn: Yarn
    lists: HostLists
    at_ms: int = field(default_factory=clock.now_ms)

    def turn(self, after_ms: int = 0) -> None:
        self.at_ms += after_ms
        roster.watch(self.yarn, self.lists, load(), self.at_ms)


@pytest.fixture
def watched(tmp_path, monkeypatch) -> Roster:
    yarn = Yarn(folder=tmp_path)
    monkeypatch.setattr("market.machines.admission.admission_lists", lambda settings: tmp_path)
    return Roster(yarn, HostLists(load(), yarn.refresh))


def test_a_machine_becomes_active_when_that_very_node_runs_as_declared(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    watched.turn()
    assert "10.0.9.1" in watched.yarn.include
    assert lenders.row(machine_id).state == "joining"
    watched.yarn.run("10.0.9.1")
    watched.turn()
    assert lenders.row(machine_id).state == "active"
    assert watched.yarn.members["10.0.9.1:8041"].labels == ("cpu",)
    assert lenders.row(machine_id).active_ms == watched.at_ms


def test_a_machine_is_admitted_when_the_resourcemanager_has_read_its_host(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    watched.yarn.failing = True
    with pytest.raises(ClusterRefused):
        watched.turn()
    assert not lenders.row(machine_id).admitted, "the lists are written, and nobody has read them"
    watched.yarn.failing = False
    watched.turn()
    assert lenders.row(machine_id).admitted


def test_lists_are_read_again_only_when_they_changed(lenders, watched) -> None:
    lenders.joined(ip_address="10.0.9.1")
    watched.turn()
    watched.turn()
    assert watched.yarn.refreshed == 1


def test_lists_that_were_not_read_are_tried_again(lenders, watched) -> None:
    lenders.joined(ip_address="10.0.9.1")
    watched.yarn.failing = True
    with pytest.raises(ClusterRefused):
        watched.turn()
    watched.yarn.failing = False
    watched.turn()
    assert "10.0.9.1" in watched.yarn.include


def test_without_machines_nobody_is_admitted(lenders, watched) -> None:
    lenders.lend(ip_address="10.0.9.1")  # offered only: its agent has not come
    watched.turn()
    assert watched.yarn.include == NOBODY_LENDS


def test_every_type_has_a_label(lenders, watched) -> None:
    watched.turn()
    assert set(watched.yarn.known_labels) == {"cpu", "highmem", "gpu", "pool"}


@pytest.mark.parametrize(("mib", "cores"), [(4095, 4), (4096, 5), (8192, 8), (0, 0)])
def test_another_size_than_declared_is_rejected_with_the_reason(lenders, watched, mib, cores) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    watched.yarn.run("10.0.9.1", mib=mib, cores=cores)
    watched.turn()
    row = lenders.row(machine_id)
    assert row.state == "rejected"
    assert f"offers {cores} cores and {mib} MiB" in row.reason
    assert watched.yarn.include == NOBODY_LENDS
    assert watched.yarn.members["10.0.9.1:8041"].total_mib == 0


def test_an_impostor_on_another_port_is_emptied_and_the_honest_machine_goes_on(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    watched.yarn.run("10.0.9.1")
    watched.turn()
    watched.yarn.run("10.0.9.1", port=45999, mib=8192, cores=16)
    watched.turn()
    impostor = watched.yarn.members["10.0.9.1:45999"]
    assert (impostor.total_mib, impostor.total_vcores, impostor.labels) == (0, 0, ())
    honest = watched.yarn.members["10.0.9.1:8041"]
    assert (honest.total_mib, honest.labels) == (4096, ("cpu",))
    assert lenders.row(machine_id).state == "active"
    raised = alerts.list_alerts(Page()).rows
    assert [(one.kind, one.subject) for one in raised] == [("unregistered_node", "10.0.9.1:45999")]
    watched.turn()
    assert alerts.list_alerts(Page()).rows == raised, "once is enough"


def test_a_silent_machine_is_lost_and_may_come_back(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    watched.yarn.run("10.0.9.1")
    watched.turn()
    watched.yarn.run("10.0.9.1", state="LOST")
    watched.turn()
    assert lenders.row(machine_id).state == "lost"
    assert "10.0.9.1" in watched.yarn.include, "or it could not come back"
    watched.yarn.run("10.0.9.1")
    watched.turn()
    assert (lenders.row(machine_id).state, lenders.row(machine_id).reason) == ("active", "")


def test_an_unhealthy_machine_is_not_active(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    watched.yarn.run("10.0.9.1", state="UNHEALTHY")
    watched.turn()
    assert lenders.row(machine_id).state == "lost"
    assert "disk is full" in lenders.row(machine_id).reason


def test_a_restart_of_the_resourcemanager_loses_no_machine(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    watched.yarn.run("10.0.9.1")
    watched.turn()
    watched.yarn.members.clear()
    watched.yarn.started_ms = watched.at_ms
    watched.turn(after_ms=5000)
    assert lenders.row(machine_id).state == "active"
    watched.turn(after_ms=MINUTE)
    assert lenders.row(machine_id).state == "lost"


def test_leaving_drains_first_then_takes_the_machine_off_the_lists(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    watched.yarn.run("10.0.9.1")
    watched.turn()
    registry.leave(lenders.anna, machine_id)
    watched.turn()
    assert "<name>10.0.9.1</name><timeout>120</timeout>" in watched.yarn.exclude
    watched.yarn.run("10.0.9.1", state="DECOMMISSIONING")
    watched.turn(after_ms=5000)
    assert lenders.row(machine_id).state == "draining"
    watched.yarn.run("10.0.9.1", state="DECOMMISSIONED")
    watched.turn()
    assert lenders.row(machine_id).state == "left"
    assert lenders.row(machine_id).left_ms == watched.at_ms
    assert watched.yarn.include == NOBODY_LENDS
    assert "10.0.9.1" not in watched.yarn.exclude
    assert watched.yarn.members["10.0.9.1:8041"].labels == ()


def test_leaving_at_once_and_a_drain_that_takes_too_long_give_no_time(lenders, watched) -> None:
    at_once, too_long = lenders.joined(ip_address="10.0.9.1"), lenders.joined(ip_address="10.0.9.2")
    for host in ("10.0.9.1", "10.0.9.2"):
        watched.yarn.run(host)
    watched.turn()
    registry.leave(lenders.anna, at_once, now=True)
    registry.leave(lenders.anna, too_long)
    watched.turn()
    assert "<name>10.0.9.1</name><timeout>0</timeout>" in watched.yarn.exclude
    assert "<name>10.0.9.2</name><timeout>120</timeout>" in watched.yarn.exclude
    watched.turn(after_ms=3 * MINUTE)
    assert "<name>10.0.9.2</name><timeout>0</timeout>" in watched.yarn.exclude


def test_a_lease_drains_early_enough_to_end_on_time(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1", time_period=3600)
    watched.yarn.run("10.0.9.1")
    watched.turn()
    watched.turn(after_ms=57 * MINUTE)
    assert lenders.row(machine_id).state == "active"
    watched.turn(after_ms=MINUTE + 30_000)
    row = lenders.row(machine_id)
    assert (row.state, row.reason) == ("draining", "the lease ends")
    assert row.lease_end_ms - row.drain_ms >= 60_000


def test_an_offer_that_no_agent_takes_up_ends(lenders, watched) -> None:
    afar = lenders.lend(ip_address="10.0.9.1", time_period=86_400)["machine_id"]
    own = lenders.lend(time_period=86_400)["machine_id"]
    watched.turn(after_ms=9 * MINUTE)
    assert (lenders.row(afar).state, lenders.row(own).state) == ("offered", "offered")
    watched.turn(after_ms=11 * MINUTE)  # nobody knows yet whose that address is
    assert (lenders.row(afar).state, lenders.row(own).state) == ("left", "offered")
    watched.turn(after_ms=61 * MINUTE)
    assert lenders.row(own).state == "left"


def test_a_machine_that_never_appears_leaves_its_host_to_others(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1", time_period=365 * 86_400)
    watched.turn(after_ms=9 * MINUTE)
    assert lenders.row(machine_id).state == "joining"
    watched.turn(after_ms=11 * MINUTE)
    row = lenders.row(machine_id)
    assert (row.state, row.reason) == ("left", "its NodeManager did not appear within ten minutes")
    lenders.lend(member=lenders.bert, ip_address="10.0.9.1")


def test_to_join_again_and_again_does_not_hold_a_host(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1", time_period=365 * 86_400)
    for _ in range(4):
        watched.turn(after_ms=5 * MINUTE)
        again = registry.resume(lenders.anna, machine_id)
        registry.join(lenders.anna, machine_id, again["join"]["token"])
        lenders.world.sql(
            "UPDATE machine SET joined_ms = %s WHERE machine_id = %s", watched.at_ms, machine_id
        )
        assert lenders.row(machine_id).state == "joining"
    watched.turn(after_ms=MINUTE)
    assert lenders.row(machine_id).state == "left"


def test_a_machine_that_was_sick_from_the_beginning_and_went_leaves(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    watched.yarn.run("10.0.9.1", state="UNHEALTHY")
    watched.turn()
    assert lenders.row(machine_id).state == "lost"
    watched.yarn.run("10.0.9.1", state="SHUTDOWN")
    watched.turn(after_ms=11 * MINUTE)
    assert lenders.row(machine_id).state == "left"


def test_a_machine_that_was_active_and_does_not_appear_again_is_lost(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    watched.yarn.run("10.0.9.1")
    watched.turn()
    again = registry.resume(lenders.anna, machine_id)
    registry.join(lenders.anna, machine_id, again["join"]["token"])
    watched.yarn.run("10.0.9.1", state="SHUTDOWN")
    watched.turn(after_ms=11 * MINUTE)
    assert lenders.row(machine_id).state == "lost"


def test_a_drain_that_nobody_ordered_is_undone(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    watched.yarn.run("10.0.9.1")
    watched.turn()
    before = watched.yarn.refreshed
    watched.yarn.run("10.0.9.1", state="DECOMMISSIONING")
    watched.turn()
    assert watched.yarn.refreshed == before + 1
    watched.yarn.run("10.0.9.1")
    watched.turn()
    assert lenders.row(machine_id).state == "active"


def test_a_resized_machine_gets_its_new_size_in_yarn_and_keeps_it_after_a_restart(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    watched.yarn.run("10.0.9.1")
    watched.turn()
    registry.resize(lenders.anna, machine_id, core_count=2, memory_size=2048)
    watched.turn()
    node = watched.yarn.members["10.0.9.1:8041"]
    assert (node.total_vcores, node.total_mib) == (2, 2048)
    assert lenders.row(machine_id).state == "active"
    registry.resize(lenders.anna, machine_id, core_count=1)
    watched.yarn.run("10.0.9.1")  # its NodeManager started again, with the size that it joined with
    watched.turn()
    node = watched.yarn.members["10.0.9.1:8041"]
    assert (node.total_vcores, node.total_mib) == (1, 2048)
    assert lenders.row(machine_id).state == "active"


def test_a_size_that_a_machine_never_had_is_rejected_after_a_resize_as_well(lenders, watched) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    registry.resize(lenders.anna, machine_id, core_count=2)
    watched.yarn.run("10.0.9.1", cores=3)
    watched.turn()
    assert lenders.row(machine_id).state == "rejected"


def clock_at(lenders, watched, time: str) -> None:
    """Move the clock on to a time of the day, UTC."""
    hour, minute = map(int, time.split(":"))
    day_ms = 86_400_000
    watched.at_ms += (hour * 60 + minute) * MINUTE - watched.at_ms % day_ms
    watched.at_ms += day_ms if watched.at_ms < lenders.row_time else 0
    lenders.row_time = watched.at_ms
    watched.turn()


def test_a_machine_rests_outside_its_hours_and_comes_back_by_itself(lenders, watched) -> None:
    lenders.row_time = watched.at_ms
    machine_id = lenders.joined(ip_address="10.0.9.1", hours="22:00-06:00", time_period=30 * 86_400)
    watched.yarn.run("10.0.9.1")
    clock_at(lenders, watched, "23:00")
    assert lenders.row(machine_id).state == "active"
    clock_at(lenders, watched, "05:57")
    assert lenders.row(machine_id).state == "active"
    clock_at(lenders, watched, "05:59")
    row = lenders.row(machine_id)
    assert (row.state, row.reason) == ("draining", "its hours (22:00-06:00) end")
    assert "<name>10.0.9.1</name>" in watched.yarn.exclude
    watched.yarn.run("10.0.9.1", state="DECOMMISSIONED")
    watched.turn()
    assert lenders.row(machine_id).state == "resting"
    assert watched.yarn.include == NOBODY_LENDS
    assert not lenders.row(machine_id).admitted
    with pytest.raises(ConflictError):
        lenders.lend(ip_address="10.0.9.1")
    clock_at(lenders, watched, "21:59")
    assert lenders.row(machine_id).state == "resting"
    clock_at(lenders, watched, "22:00")
    assert lenders.row(machine_id).state == "joining"
    assert "10.0.9.1" in watched.yarn.include
    assert lenders.row(machine_id).admitted
    watched.yarn.run("10.0.9.1")
    watched.turn()
    assert lenders.row(machine_id).state == "active"


def test_a_machine_that_is_removed_while_it_drains_for_its_rest_leaves(lenders, watched) -> None:
    lenders.row_time = watched.at_ms
    machine_id = lenders.joined(ip_address="10.0.9.1", hours="22:00-06:00", time_period=30 * 86_400)
    watched.yarn.run("10.0.9.1")
    clock_at(lenders, watched, "23:00")
    clock_at(lenders, watched, "07:00")
    assert lenders.row(machine_id).state == "draining"
    registry.leave(lenders.anna, machine_id)
    watched.yarn.run("10.0.9.1", state="DECOMMISSIONED")
    watched.turn()
    assert (lenders.row(machine_id).state, lenders.row(machine_id).reason) == ("left", "removed by its owner")


def test_a_machine_that_rests_leaves_at_once(lenders, watched) -> None:
    lenders.row_time = watched.at_ms
    machine_id = lenders.joined(ip_address="10.0.9.1", hours="22:00-06:00", time_period=30 * 86_400)
    clock_at(lenders, watched, "12:00")
    assert lenders.row(machine_id).state == "resting"
    assert registry.leave(lenders.anna, machine_id)["status"] == "left"


def test_what_a_machine_says_stops_no_other(lenders, watched) -> None:
    for host in ("10.0.9.1", "10.0.9.2", "10.0.9.3"):
        lenders.joined(ip_address=host)
        watched.yarn.run(host)
    watched.turn()
    bad, odd, good = (
        row.machine_id for row in lenders.world.sql("SELECT * FROM machine ORDER BY ip_address")
    )
    lenders.world.sql(
        "UPDATE machine SET hours = '25', time_zone = 'Nowhere/At All' WHERE machine_id = %s", bad
    )
    for host in ("10.0.9.2", "10.0.9.3"):
        watched.yarn.run(host, state="UNHEALTHY")
    unhealthy = watched.yarn.members["10.0.9.2:8041"]
    watched.yarn.members["10.0.9.2:8041"] = replace(unhealthy, health_report="half \ud800")
    watched.turn()
    states = {row.machine_id: row.state for row in lenders.world.sql("SELECT * FROM machine")}
    assert states == {bad: "active", odd: "active", good: "lost"}
    assert watched.yarn.members["10.0.9.1:8041"].total_mib == 4096, "what was not judged is left as it is"
    works = {row.work: row.subject for row in lenders.world.sql("SELECT * FROM setback")}
    assert works == {"judging machines": bad, "writing machines": odd}


def test_one_label_that_yarn_refuses_keeps_no_other_machine_out(lenders, watched, monkeypatch) -> None:
    for host in ("10.0.9.1", "10.0.9.2"):
        lenders.joined(ip_address=host)
        watched.yarn.run(host)
    label = watched.yarn.replace_labels

    def refusing(by_node: Mapping[str, list[str]]) -> None:
        if "10.0.9.1:8041" in by_node:
            raise ClusterRefused("no")
        label(by_node)

    monkeypatch.setattr(watched.yarn, "replace_labels", refusing)
    watched.turn()
    assert watched.yarn.members["10.0.9.2:8041"].labels == ("cpu",)
