"""An upgrade replaces service by service, and goes back when one does not come up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from supervised import process_manager, release, service, until

from distributedmarket.errors import SetupError
from market.kit.settings import Settings
from market.ops.database.migrate import File, Outlook
from market.ops.run import lifecycle, releases
from market.ops.run.releases import Release
from market.ops.run.services import Service
from market.ops.run.supervisor import Supervisor
from market.ops.upgrade import carry_out, plan
from market.ops.upgrade.carry_out import NotReplacedError
from market.ops.upgrade.plan import Plan

SERVICES = ("postgres", "api-server", "scheduler", "pool")
PLAN = Plan(
    before="old",
    release="new",
    tables=Outlook((), (), ()),
    restarts=["api-server", "scheduler", "pool"],
    stays=["postgres"],
    gone=["retired"],
    settings=[],
    airflow=("3.3.2", "3.3.2"),
    stale_shared=[],
    at_yarn=0,
    machines_differ=False,
)


@dataclass
class Market:
    """A stack that runs from `old`, with `new` beside it; what an upgrade did to it, in order."""

    old: Settings
    new: Settings
    did: list[str] = field(default_factory=list)
    well: Callable[[Settings, str], str] = lambda settings, name: ""

    def step(self, title: str) -> AbstractContextManager[None]:
        self.did.append(title)
        return nullcontext()

    def pid(self, name: str) -> int:
        return int(Supervisor(self.new).states()[name]["pid"])


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Market]:
    with process_manager(tmp_path) as stack:
        place = releases.place(stack.paths.state)
        made = Market(release(stack, place / "old", "old"), release(stack, place / "new", "new"))
        for one in (made.old, made.new):
            (one.paths.root / "release.json").write_text(json.dumps({}))

        def services(settings: Settings) -> list[Service]:
            check = lambda name: lambda loaded: made.well(loaded, name)  # noqa: E731
            return [replace(service(name), check=check(name)) for name in SERVICES]

        first = replace(made.old.paths, installs=stack.paths.installs)
        supervisor = Supervisor(replace(made.old, paths=first))
        supervisor.launch([*services(made.old), service("retired")])
        releases.use(stack.paths.state, Release(made.old.paths.root))
        for name in (*SERVICES, "retired"):
            supervisor.start(name)
            until(stack, name, "old")
            releases.note(made.old.paths, name, "")
        monkeypatch.setattr(carry_out, "all_services", services)
        monkeypatch.setattr(carry_out, "take", lambda *_: made.did.append("backup"))
        monkeypatch.setattr(carry_out, "_prepare", lambda *_: made.did.append("tables"))
        monkeypatch.setattr(carry_out.bootstrap, "before_start", lambda _: None)
        monkeypatch.setattr(carry_out.started_with, "note", lambda _: None)
        monkeypatch.setattr(lifecycle, "_DEADLINE_S", 2)
        yield made


def test_services_move_one_by_one_and_what_did_not_change_runs_on(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "look", lambda _: PLAN)
    kept, said = market.pid("postgres"), []
    assert carry_out.switch(market.new, market.step, said.append) == PLAN
    assert market.did == ["backup", "tables", "api-server", "scheduler", "pool"]
    for name in ("api-server", "scheduler", "pool"):
        until(market.new, name, "new")
    assert market.pid("postgres") == kept
    assert "retired" not in Supervisor(market.new).states()
    assert said == ["stopped retired, which this release does not have"]
    state = market.new.paths.state
    assert releases.current(state) == Release(market.new.paths.root)
    assert releases.named(state, "previous") == Release(market.old.paths.root)
    assert releases.of_services(state)["postgres"].like == "new"


def test_a_machine_on_which_drivers_run_stays(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "look", lambda _: replace(PLAN, at_yarn=2, gone=[]))
    kept, said = market.pid("pool"), []
    carry_out.switch(market.new, market.step, said.append)
    assert market.pid("pool") == kept
    assert said == ["pool runs drivers of jobs, and stays: ./market upgrade again when they have ended"]


def test_a_service_that_does_not_come_up_brings_back_the_release_before(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "look", lambda _: replace(PLAN, gone=[]))
    monkeypatch.setattr(carry_out, "run", lambda one, *_: market.did.append(f"back to {one.name}") or 0)
    market.well = lambda settings, name: "it says nothing" if name == "scheduler" else ""
    with pytest.raises(
        NotReplacedError, match=r"scheduler does not start \(it says nothing\).*from old again"
    ):
        carry_out.switch(market.new, market.step, lambda _: None)
    assert market.did[2:] == ["api-server", "scheduler", "back to old"]
    assert Supervisor(market.new).states()["pool"]["statename"] in ("STARTING", "RUNNING")


def test_what_is_refused_is_refused_before_anything_changes(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [
        (
            replace(PLAN, stale_shared=["/market/lib/pyspark.zip"], at_yarn=3),
            r"pyspark.zip\), and 3 runs are at YARN.*let them end",
        ),
        (
            replace(PLAN, airflow=("3.3.2", "3.3.1")),
            "brought to version 3.3.2, which this release's 3.3.1 cannot read",
        ),
    ]
    for refused, words in refusals:
        monkeypatch.setattr(plan, "look", lambda _, told=refused: told)
        with pytest.raises(SetupError, match=f"nothing was changed: .*{words}"):
            carry_out.switch(market.new, market.step, lambda _: None)
    assert market.did == []
    nothing = replace(PLAN, before="new", restarts=[], gone=[])
    monkeypatch.setattr(plan, "look", lambda _: nothing)
    assert carry_out.switch(market.new, market.step, lambda _: None).nothing
    assert market.did == []


def test_a_plan_is_told_in_words() -> None:
    grows, shrinks = File("schema/0060_more.sql", ""), File("schema/0061_less.sql", "-- contract: unused\n")
    told = replace(
        PLAN, tables=Outlook((grows, shrinks), ("functions/10_a.sql",), ()), at_yarn=1, machines_differ=True
    )
    lines = [f"{name}: {words}" for name, words in told.lines() if words]
    assert lines == [
        "release: old -> new",
        "tables: sql/schema/0060_more.sql (expand)",
        "tables: sql/schema/0061_less.sql (contract: no way back after it)",
        "functions: 1 of the files of sql/ new or changed: all are made anew",
        "machines: the release of machines differs: lent ones drain, and their owners update",
        "restarts: api-server, scheduler, pool",
        ": pool stays, since drivers run on it: ./market upgrade again when they have ended",
        "stop: retired",
        "run on: postgres",
    ]
