"""The agent: lends this host as one machine, from its registration to its end."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import IO, Any, Protocol

from market.hadoop import node_config
from market.hadoop.node_config import Ports
from market.kit.settings import Settings
from market.machines import host
from market.machines.host import Host
from market.machines.nodemanager import NodeManager
from market.ops.install.shell import SetupError

LEFT, REJECTED, FAILED = 0, 3, 1  # exit codes; only a failure is a reason to start again

_LOOK_S = 2.0
_TICK_S = 0.2
_AFTER_DRAIN_S = 25
_PORT_PATIENCE_S = 10
_MARKET_PATIENCE_S = 5
# Who drains, rests or has left has no NodeManager to keep.
_STILL = ("draining", "resting", "left", "rejected")


class Market(Protocol):
    """What the agent needs of the market's REST interface; errors are SetupErrors."""

    def get(self, path: str, **query: Any) -> Any: ...
    def post(self, path: str, body: object = None, expect: tuple[int, ...] = ()) -> Any: ...
    def delete(self, path: str, **query: Any) -> Any: ...


@dataclass(frozen=True)
class Offer:
    """What is lent; memory in MiB, time in seconds; address "" for the market's or the agent's choice.

    `hours` of the day, as 22:00-06:00 in `time_zone`; "" for all of them.
    """

    core_count: int
    memory_size: int
    machine_type: str
    time_period: int
    name: str
    ip_address: str
    hours: str = ""
    time_zone: str = ""

    def body(self) -> dict[str, Any]:
        """Return the body of `POST /machines`."""
        return {key: value for key, value in asdict(self).items() if value != ""}


@dataclass(frozen=True)
class Glance:
    """What the live line shows: the machine's record, and what its NodeManager runs."""

    record: dict[str, Any]
    containers: int
    cores: int
    memory_mib: int
    note: str = ""


def claim(settings: Settings, name: str, wished: bool) -> tuple[Path, str, IO[str]]:
    """Return the folder of a machine of this host, its name, and the lock to keep open.

    A name that was not `wished` gets a number if another agent has it. Raises SetupError otherwise.
    """
    parent = settings.paths.state / "machines"
    for number in range(1, 100):
        tried = name if number == 1 else f"{name}-{number}"
        folder = parent / tried
        for part in (parent, folder):
            part.mkdir(mode=0o711, parents=True, exist_ok=True)
            part.chmod(0o711)
        lock = (folder / "lock").open("w")
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except OSError:
            lock.close()
            if wished:
                break
            continue
        return folder, tried, lock
    raise SetupError(f"an agent lends a machine called {name} here already: choose another --name")


class Agent:
    """Lends one machine. `show` gets a Glance every two seconds, `say` a line of text now and then."""

    def __init__(
        self,
        settings: Settings,
        market: Market,
        found: Host,
        folder: Path,
        show: Callable[[Glance], None],
        say: Callable[[str], None],
    ) -> None:
        self._settings, self._market, self._host, self._folder = settings, market, found, folder
        self._show, self._say = show, say
        self._interrupts = 0
        self._record: dict[str, Any] = {}

    def run(self, offer: Offer) -> int:
        """Lend until the machine has left; return the exit code. Raises SetupError if it cannot begin."""
        for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            signal.signal(sent, self._interrupted)
        answer = self._resumed(offer) or self._market.post("/machines", offer.body())
        join, machine_id = answer["join"], str(answer["machine_id"])
        self._remember(offer, machine_id)
        address = str(join["ip_address"])
        node = NodeManager(self._settings.paths, self._folder, address, self._host.java_home)
        ports = self._ports(node, address, int(join["service_port"]))
        self._market.post(
            f"/machines/{machine_id}/join",
            {
                "token": join["token"],
                "service_port": ports.service,
                "host_cores": max(self._host.cores, offer.core_count),
                "host_memory": max(self._host.memory_mib, offer.memory_size),
            },
        )
        node.cores.hold(int(join["core_count"]))
        how = f"{node.sandbox.said}, {node.cores.said}"
        self._say(f"machine {machine_id} at {address}:{ports.service}, NodeManager {how}")
        try:
            return self._lend(node, machine_id, join, ports)
        finally:
            node.stop()
            node.clear()

    def _interrupted(self, sent: int, _: object) -> None:
        """Count interrupts: the first drains, the second stops at once, and so does a SIGQUIT by itself.

        Two equal signals that come quickly are one to a process.
        """
        self._interrupts += 2 if sent == signal.SIGQUIT else 1

    def _ports(self, node: NodeManager, address: str, service: int) -> Ports:
        """Choose ports; a registered one is waited for: this machine's last NodeManager may just end."""
        node.sweep()
        until = time.monotonic() + _PORT_PATIENCE_S
        while not host.is_free(address, service) and time.monotonic() < until and self._known():
            time.sleep(_TICK_S)
        return host.choose_ports(address, service)

    def _lend(self, node: NodeManager, machine_id: str, join: dict[str, Any], ports: Ports) -> int:
        node.start(join["files"], ports)
        next_look, drain_until, heard, rested = 0.0, 0.0, 0, False
        while True:
            if self._interrupts > heard:
                heard = self._interrupts
                if heard > 1 or not self._drain(machine_id):
                    self._leave_now(machine_id)
                    return LEFT
                drain_until = time.monotonic() + int(join["drain_timeout"]) + _AFTER_DRAIN_S
            if drain_until and time.monotonic() > drain_until:
                self._say("the drain takes too long: stopping at once")
                self._leave_now(machine_id)
                return LEFT
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + _LOOK_S
                self._look(node, machine_id, ports)
                self._follow_size(node, join)
            state = self._record.get("availability", "")
            if state in ("left", "rejected"):
                self._say(f"the machine has {state}: {self._record.get('reason') or 'no reason given'}")
                self._forget()
                return LEFT if state == "left" else REJECTED
            if state == "resting":
                rested = True
                if node.running():  # its hours had not begun when it was started
                    node.stop()
            elif state not in _STILL and not drain_until and node.keep(join["files"], ports):
                why = "its hours have begun" if rested else "the NodeManager had ended"
                self._say(f"{why}; it was started again: see {node.log}")
                rested = False
            time.sleep(_TICK_S)

    def _follow_size(self, node: NodeManager, join: dict[str, Any]) -> None:
        """Have the next start use the size that the machine was given meanwhile; YARN has told this one."""
        if not self._record:  # the market has not answered yet
            return
        cores, memory = int(self._record["core_count"]), int(self._record["memory_size"])
        if (cores, memory) == (join["core_count"], join["memory_size"]):
            return
        join["core_count"], join["memory_size"] = cores, memory
        join["files"]["yarn-site.xml"] |= node_config.size(cores, memory)
        node.cores.hold(cores)
        self._say(f"the machine lends {cores} cores and {memory} MiB from now on")

    def _look(self, node: NodeManager, machine_id: str, ports: Ports) -> None:
        note = ""
        try:
            self._record = self._market.get(f"/machines/{machine_id}")
        except SetupError as error:
            note = _brief(error)
        running = _containers(str(self._record.get("ip_address", "")), ports.web) if node.running() else []
        cores = sum(int(one.get("totalVCoresNeeded") or 0) for one in running)
        memory = sum(int(one.get("totalMemoryNeededMB") or 0) for one in running)
        self._show(Glance(self._record, len(running), cores, memory, note))

    def _drain(self, machine_id: str) -> bool:
        """Ask the market to drain this machine; tell whether it will."""
        self._say("draining: no new work, and what runs here is moved off; once more stops at once")
        until = time.monotonic() + _MARKET_PATIENCE_S
        while True:
            try:
                self._market.delete(f"/machines/{machine_id}")
                return True
            except SetupError as error:
                if time.monotonic() > until or self._interrupts > 1:
                    self._say(f"{_brief(error)}; stopping at once")
                    return False
                time.sleep(1)

    def _leave_now(self, machine_id: str) -> None:
        try:
            self._market.delete(f"/machines/{machine_id}", now="true")
        except SetupError as error:
            self._say(f"{_brief(error)}; it will notice by itself, and the next start takes this machine up")
            return
        self._forget()

    def _resumed(self, offer: Offer) -> dict[str, Any] | None:
        """Take up the machine of an agent that ended without leaving; None if there is none to take up."""
        known = self._known()
        if known is None:
            return None
        machine_id = str(known["machine_id"])
        if known["offer"] != asdict(offer):
            try:
                self._market.delete(f"/machines/{machine_id}", now="true")
            except SetupError:
                self._say("the machine that was lent from here before is another account's; lending anew")
            return None
        answer = self._market.post(f"/machines/{machine_id}/resume", expect=(404, 409))
        if "join" not in answer:
            return None
        self._say(f"taking up machine {machine_id} where it was")
        return dict(answer)

    def _known(self) -> dict[str, Any] | None:
        try:
            found = json.loads((self._folder / "machine.json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) and {"machine_id", "offer"} <= set(found) else None

    def _remember(self, offer: Offer, machine_id: str) -> None:
        fresh = self._folder / "machine.json.new"
        fresh.write_text(json.dumps({"machine_id": machine_id, "offer": asdict(offer)}) + "\n")
        fresh.rename(self._folder / "machine.json")

    def _forget(self) -> None:
        (self._folder / "machine.json").unlink(missing_ok=True)


def _brief(error: SetupError) -> str:
    """Return an error for the live line: that nobody answers needs no details."""
    said = str(error)
    return "the market does not answer" if "does not answer" in said else said


def _containers(address: str, port: int) -> list[dict[str, Any]]:
    """Return what a NodeManager runs; nothing while it does not answer."""
    from market.cluster.errors import ClusterUnavailable
    from market.cluster.http import items, send

    try:
        answer = send("GET", f"http://{address}:{port}/ws/v1/node/containers", timeout=(0.5, 2.0))
        found = items(answer.json(), "containers", "container")
    except (ClusterUnavailable, ValueError):
        return []
    return [one for one in found if one.get("state") not in ("COMPLETE", "DONE")]
