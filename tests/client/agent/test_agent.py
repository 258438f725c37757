"""How an agent ends, what it does when the market changes its machine, and when it is refused."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distributedmarket.agent import agent as agents
from distributedmarket.agent.agent import LEFT, REJECTED, Agent
from distributedmarket.agent.api import MISFIT, Join, Pulse
from distributedmarket.agent.folder import claim
from distributedmarket.agent.host import Host
from distributedmarket.agent.node_config import Ports
from distributedmarket.agent.offer import Offer
from distributedmarket.agent.pulse import Heard, PulseListener
from distributedmarket.client import MarketApiError, UnreachableError
from distributedmarket.runtime.places import Places
from market.kit import vocabulary

HERE = Host(cores=2, memory_mib=4096, disk_mib=10_000, java_home="/java", java=17)
OFFER = Offer(1, 1024, "cpu", 3600, "attic", "")
PULSE = Pulse("1", "active", "", 1, 1024, 3600, "0.000000")


def join() -> Join:
    return Join("a machine", "token", "127.0.0.9", 8041, 1, 1024, 120, {"yarn-site.xml": {}})


class Market:
    """Takes note of what is asked; the machine has left as soon as it was told to."""

    def __init__(self) -> None:
        self.left: list[bool] = []
        self.joined: list[Join] = []
        self.refusal: MarketApiError | None = None

    def leave(self, machine_id: str, now: bool = False) -> None:
        self.left.append(now)

    def register(self, offer: Offer) -> Join:
        return join()

    def resume(self, machine_id: str) -> Join | None:
        return None

    def join(self, made: Join, service_port: int, host: Host) -> None:
        if self.refusal:
            raise self.refusal
        self.joined.append(made)

    @property
    def heard(self) -> Heard:
        return Heard(replace(PULSE, availability="left") if self.left else PULSE)


class Node:
    """A NodeManager that only counts its starts."""

    def __init__(self, *_: Any) -> None:
        self.starts: list[Any] = []
        self.held: list[int] = []
        self.cores = SimpleNamespace(hold=self.held.append, description="")
        self.sandbox = SimpleNamespace(description="")
        self.log = Path("node.log")

    def start(self, files: Any, ports: Ports) -> None:
        self.starts.append(files)

    def running(self) -> bool:
        return False

    def keep(self, files: Any, ports: Ports) -> bool:
        self.start(files, ports)
        return True

    def stop(self) -> None: ...
    def clear(self) -> None: ...
    def sweep(self) -> None: ...


def agent(market: Market, folder: Path, said: list[str] | None = None) -> Agent:
    places = Places(folder, folder)
    say = (said if said is not None else []).append
    held = claim(places, "attic", exactly=True)
    return Agent(places, market, HERE, held, lambda _: None, say)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signals", "left"),
    [
        ([signal.SIGTERM], [False]),
        ([signal.SIGINT], [False]),
        ([signal.SIGINT, signal.SIGINT], [True]),
        ([signal.SIGQUIT], [True]),
        ([signal.SIGQUIT, signal.SIGTERM], [True]),
    ],
    ids=str,
)
def test_one_interrupt_drains_and_two_or_a_sigquit_end_at_once(
    signals: list[signal.Signals], left: list[bool], tmp_path: Path
) -> None:
    market = Market()
    lending = agent(market, tmp_path)
    for sent in signals:
        lending._interrupted(sent, None)
    assert lending._lend(Node(), join(), Ports(1, 2, 3, 4), market) == LEFT  # type: ignore[arg-type]
    assert market.left == left


def test_the_states_of_a_machine_are_the_market_s() -> None:
    assert set(agents.GONE) == set(vocabulary.MACHINE_GONE)
    assert set(agents._STILL) <= set(vocabulary.MACHINE_STATES)


def test_a_resize_is_held_at_once_and_by_the_next_start(tmp_path: Path) -> None:
    node, made, said = Node(), join(), []
    lending = agent(Market(), tmp_path, said)
    lending._follow_size(node, made, replace(PULSE, core_count=2, memory_size=2048))  # type: ignore[arg-type]
    assert node.held == [2]
    assert made.files["yarn-site.xml"] == {
        "yarn.nodemanager.resource.cpu-vcores": "2",
        "yarn.nodemanager.resource.memory-mb": "2048",
    }
    assert said == ["the machine lends 2 cores and 2048 MiB from now on"]


def test_a_release_that_does_not_fit_is_told_and_the_host_is_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market, said = Market(), []
    words = "This machine's runtime is of another release than the market's: update."
    market.refusal = MarketApiError("POST", "/join", 409, {"code": MISFIT, "detail": words})
    monkeypatch.setattr(agents, "NodeManager", Node)
    monkeypatch.setattr(agents.host, "is_free", lambda *_: True)
    monkeypatch.setattr(agents.host, "choose_ports", lambda *_: Ports(1, 2, 3, 4))
    monkeypatch.setattr(agents.signal, "signal", lambda *_: None)
    lending = agent(market, tmp_path, said)
    assert lending.run(OFFER) == REJECTED
    assert said == [words]
    assert market.left == [True]
    assert lending._folder.registration() is None


def test_an_agent_hears_of_a_change_while_it_waits_and_tells_when_nobody_answers() -> None:
    answers = iter(
        [PULSE, UnreachableError("x", sent=True), replace(PULSE, version="2", availability="left")]
    )
    known: list[str] = []
    heard: list[Heard] = []

    def heartbeat(machine_id: str, version: str) -> Pulse:
        known.append(version)
        heard.append(listener.heard)
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    listener = PulseListener(SimpleNamespace(heartbeat=heartbeat), "a machine")  # type: ignore[arg-type]
    listener._ended.wait = lambda *_: None  # type: ignore[assignment, method-assign]
    thread = threading.Thread(target=listener._listen)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "a machine that has left is not asked for again"
    assert known == ["", "1", "1"]
    assert heard[2] == Heard(PULSE, "the market does not answer")
    assert listener.heard.pulse is not None
    assert listener.heard.pulse.availability == "left"
