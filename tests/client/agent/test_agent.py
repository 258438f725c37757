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
from distributedmarket.agent import keeping
from distributedmarket.agent.agent import LEFT, REJECTED, Agent
from distributedmarket.agent.api import MISFIT, Join, Pulse
from distributedmarket.agent.folder import claim
from distributedmarket.agent.host import Host
from distributedmarket.agent.identity import Identity
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
        self.keys: list[bytes] = []

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

    def identity(self, machine_id: str, at_once: bool = False) -> Identity | None:
        if at_once and not self.keys:
            raise UnreachableError("away", sent=False)
        assert at_once or self.joined, "a key is for who has joined"
        return Identity("nm/127.0.0.9@MARKET", "", self.keys.pop() if at_once else b"", machine_id, b"")

    @property
    def heard(self) -> Heard:
        return Heard(replace(PULSE, availability="left") if self.left else PULSE)


class Node:
    """A NodeManager that only counts its starts."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.starts: list[Any] = []
        self.identified: list[Identity | None] = []
        self.held: list[int] = []
        self.cores = SimpleNamespace(hold=self.held.append, description="")
        self.sandbox = SimpleNamespace(description="")
        self.log, self.description = Path("node.log"), ""

    def start(self, files: Any, ports: Ports) -> None:
        self.starts.append(files)

    def identify(self, who: Identity | None) -> None:
        self.identified.append(who)

    renew = identify

    @property
    def has_key(self) -> bool:
        return bool(self.identified and self.identified[-1])

    @property
    def begun(self) -> bool:
        return bool(self.starts)

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
    assert set(keeping.STILL) <= set(vocabulary.MACHINE_STATES)


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


def test_an_agent_starts_its_nodemanager_with_the_machine_s_own_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market, nodes = Market(), []
    turns = [replace(PULSE, ticket="Market x"), replace(PULSE, availability="left")]

    class Listener:
        @property
        def heard(self) -> Heard:
            return Heard(turns.pop(0))

        def __init__(self, *_: Any) -> None: ...
        def start(self) -> None: ...
        def stop(self) -> None: ...

    def node(*_: Any, **__: Any) -> Node:
        nodes.append(Node())
        return nodes[0]

    monkeypatch.setattr(agents, "NodeManager", node)
    monkeypatch.setattr(agents, "PulseListener", Listener)
    monkeypatch.setattr(agents.host, "is_free", lambda *_: True)
    monkeypatch.setattr(agents.host, "choose_ports", lambda *_: Ports(1, 2, 3, 4))
    monkeypatch.setattr(agents.signal, "signal", lambda *_: None)
    assert agent(market, tmp_path).run(OFFER) == LEFT
    assert [who and who.ticket_key for who in nodes[0].identified] == ["a machine"]
    assert len(nodes[0].starts) == 1


@pytest.mark.parametrize("with_keys", [True, False])
def test_a_machine_joins_anew_when_the_market_begins_or_ends_to_ask_for_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_keys: bool
) -> None:
    market, node, said = Market(), Node(), []
    changed = {"core-site.xml": {"changed": "yes"}, "yarn-site.xml": {}}
    monkeypatch.setattr(agents, "_LOOK_S", 0.01)
    monkeypatch.setattr(market, "resume", lambda machine_id: replace(join(), files=changed))
    known = Identity("nm/127.0.0.9@MARKET", "", b"", "", b"")
    monkeypatch.setattr(market, "identity", lambda machine_id: known if with_keys else None)
    if not with_keys:
        node.identify(known)
    market.refusal = MarketApiError("POST", "/join", 503, {})
    lending = agent(market, tmp_path, said)
    pulse = replace(PULSE, ticket="Market x" if with_keys else "")

    class Listener:
        @property
        def heard(self) -> Heard:
            if said:  # it was refused once, and is tried again
                market.refusal = None
            return Heard(replace(pulse, availability="left") if market.joined else pulse)

    assert lending._lend(node, join(), Ports(1, 2, 3, 4), Listener()) == LEFT  # type: ignore[arg-type]
    assert node.identified[-1] is (known if with_keys else None)
    assert node.starts[-1] == changed
    assert "trying again" in said[0]
    assert any("changed how it speaks with machines" in one for one in said)


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_machine_joins_anew_when_the_market_begins_or_ends_to_encrypt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    market, node = Market(), Node()
    files = {
        way: {"core-site.xml": {"hadoop.rpc.protection": way}, "yarn-site.xml": {}}
        for way in ("privacy", "authentication")
    }
    before, after = ("authentication", "privacy") if encrypted else ("privacy", "authentication")
    monkeypatch.setattr(agents, "_LOOK_S", 0.01)
    monkeypatch.setattr(market, "resume", lambda machine_id: replace(join(), files=files[after]))
    node.identify(Identity("nm/127.0.0.9@MARKET", "", b"", "", b""))
    pulse = replace(PULSE, ticket="Market x", encrypted=encrypted)

    class Listener:
        @property
        def heard(self) -> Heard:
            return Heard(replace(pulse, availability="left") if market.joined else pulse)

    as_before = replace(join(), files=files[before])
    assert agent(market, tmp_path)._lend(node, as_before, Ports(1, 2, 3, 4), Listener()) == LEFT  # type: ignore[arg-type]
    assert node.starts[-1] == files[after]


def test_a_machine_that_runs_is_given_another_key_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market, node, said = Market(), Node(), []
    market.keys = [b"2", b"1"]
    monkeypatch.setattr(agents, "RENEW_S", 0.0)
    monkeypatch.setattr(agents, "_TICK_S", 0.01)
    lending = agent(market, tmp_path, said)
    node.identify(Identity("nm/127.0.0.9@MARKET", "", b"0", "", b""))

    class Listener:
        @property
        def heard(self) -> Heard:
            failed = any("not renewed" in one for one in said)
            return Heard(replace(PULSE, ticket="Market x", availability="left" if failed else "active"))

    assert lending._lend(node, join(), Ports(1, 2, 3, 4), Listener()) == LEFT  # type: ignore[arg-type]
    assert [who and who.keytab for who in node.identified] == [b"0", b"1", b"2"]
    assert "the machine's key was not renewed: away" in said, "it goes on with the one before"


@pytest.mark.parametrize(
    ("pulses", "patience_s", "starts"),
    [
        ([None, replace(PULSE, availability="joining", admitted=False)], 60.0, 0),
        ([replace(PULSE, availability="joining", admitted=False), PULSE], 60.0, 1),
        ([replace(PULSE, availability="resting", admitted=False)], 0.0, 0),
        ([None], 0.0, 1),  # the market does not answer
        ([replace(PULSE, availability="joining", admitted=False)], 0.0, 1),  # its list is not read
    ],
    ids=["not yet", "let in", "outside its hours", "silence", "patience ends"],
)
def test_a_nodemanager_is_started_when_yarn_lets_it_in(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pulses: list[Pulse | None],
    patience_s: float,
    starts: int,
) -> None:
    """One that is started before is refused, ends, and is started again: ten seconds of a processor."""
    node, turns = Node(), [*pulses, replace(PULSE, availability="left")]
    monkeypatch.setattr(keeping, "_ADMISSION_S", patience_s)
    monkeypatch.setattr(agents, "_TICK_S", 0.01)

    class Listener:
        @property
        def heard(self) -> Heard:
            return Heard(turns.pop(0))

    assert agent(Market(), tmp_path)._lend(node, join(), Ports(1, 2, 3, 4), Listener()) == LEFT  # type: ignore[arg-type]
    assert len(node.starts) == starts


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
