"""The agent: lends this host as one machine, from its registration to its end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from distributedmarket.agent import containers, host, node_config, owners
from distributedmarket.agent.api import GONE, MISFIT, AgentApi, Join, Pulse
from distributedmarket.agent.folder import MachineFolder
from distributedmarket.agent.host import Host
from distributedmarket.agent.keeping import STILL, Keeper
from distributedmarket.agent.node_config import Ports
from distributedmarket.agent.nodemanager import NodeManager
from distributedmarket.agent.offer import Offer
from distributedmarket.agent.pulse import PulseListener
from distributedmarket.client import MarketApiError, MarketClientError
from distributedmarket.runtime.places import Places

LEFT, REJECTED = 0, 3  # exit codes; any other one is a failure, and a reason to start again

_LOOK_S = 2.0
_TICK_S = 0.2
_AFTER_DRAIN_S = 25
_PORT_PATIENCE_S = 10
_MARKET_PATIENCE_S = 5
RENEW_S = 12 * 3600  # between two keys of a machine that runs: less than what a login lives
_RENEW_AGAIN_S = 300


@dataclass(frozen=True)
class Glance:
    """What the live line shows: the machine as the market sees it, and what its NodeManager runs."""

    pulse: Pulse | None
    containers: int
    cores: int
    memory_mib: int
    note: str = ""


class Agent:
    """Lends one machine. `show` gets a Glance every two seconds, `say` a line of text now and then."""

    def __init__(
        self,
        places: Places,
        api: AgentApi,
        this_host: Host,
        folder: MachineFolder,
        show: Callable[[Glance], None],
        say: Callable[[str], None],
        accounts: owners.Range = owners.UNUSED,
    ) -> None:
        self._accounts = accounts
        self._places, self._api, self._host, self._folder = places, api, this_host, folder
        self._show, self._say = show, say
        self._interrupts = 0

    def run(self, offer: Offer) -> int:
        """Lend until the machine has left; return the exit code.

        Raises SetupError or MarketClientError if it cannot begin.
        """
        for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            signal.signal(sent, self._interrupted)
        join = self._resumed(offer) or self._api.register(offer)
        self._folder.remember(offer, join.machine_id)
        node = NodeManager(
            self._places, self._folder.path, join.ip_address, self._host.java_home, accounts=self._accounts
        )
        ports = self._ports(node, join)
        try:
            self._api.join(join, ports.service, self._host)
        except MarketApiError as error:
            if error.code != MISFIT:
                raise
            self._say(error.detail)
            self._leave_now(join.machine_id)
            return REJECTED
        node.identify(self._api.identity(join.machine_id))
        node.cores.hold(join.core_count)
        how = f"{node.description}, {node.cores.description}"
        self._say(f"machine {join.machine_id} at {join.ip_address}:{ports.service}, NodeManager {how}")
        listener = PulseListener(self._api, join.machine_id)
        listener.start()
        try:
            return self._lend(node, join, ports, listener)
        finally:
            listener.stop()
            node.stop()
            node.clear()

    def _interrupted(self, sent: int, _: object) -> None:
        """Count interrupts: the first drains, the second stops at once, and so does a SIGQUIT by itself.

        Two equal signals that come quickly are one to a process.
        """
        self._interrupts += 2 if sent == signal.SIGQUIT else 1

    def _ports(self, node: NodeManager, join: Join) -> Ports:
        """Choose ports; a registered one is waited for: this machine's last NodeManager may just end."""
        node.sweep()
        until = time.monotonic() + _PORT_PATIENCE_S
        while not host.is_free(join.ip_address, join.service_port) and time.monotonic() < until:
            time.sleep(_TICK_S)
        return host.choose_ports(join.ip_address, join.service_port)

    def _lend(self, node: NodeManager, join: Join, ports: Ports, listener: PulseListener) -> int:
        next_look, drain_until, handled = 0.0, 0.0, 0
        renew_at, keeper = time.monotonic() + RENEW_S, Keeper(node, self._say)
        while True:
            if self._interrupts > handled:
                handled = self._interrupts
                if handled > 1 or not self._drain(join.machine_id):
                    self._leave_now(join.machine_id)
                    return LEFT
                drain_until = time.monotonic() + join.drain_timeout + _AFTER_DRAIN_S
            if drain_until and time.monotonic() > drain_until:
                self._say("the drain takes too long: stopping at once")
                self._leave_now(join.machine_id)
                return LEFT
            heard = listener.heard
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + _LOOK_S
                self._show(_glance(node, join.ip_address, ports, heard.pulse, heard.note))
            if heard.pulse is not None:
                self._follow_size(node, join, heard.pulse)
            state = heard.pulse.availability if heard.pulse else ""
            if heard.pulse and not drain_until:
                renew_at = self._keep_key(node, join, ports, heard.pulse, renew_at)
            if heard.pulse and state in GONE:
                self._say(f"the machine has {state}: {heard.pulse.reason or 'no reason given'}")
                self._folder.forget()
                return LEFT if state == "left" else REJECTED
            if not drain_until:
                keeper.follow(heard.pulse, join.files, ports)
            time.sleep(_TICK_S)

    def _renewed(self, node: NodeManager, machine_id: str) -> float:
        """Give the machine another key; return in how many seconds to do it again."""
        try:
            node.renew(self._api.identity(machine_id, at_once=True))
            return RENEW_S
        except MarketClientError as error:  # the key before is good until the market has made another one
            self._say(f"the machine's key was not renewed: {error}")
            return _RENEW_AGAIN_S

    def _keep_key(self, node: NodeManager, join: Join, ports: Ports, pulse: Pulse, renew_at: float) -> float:
        """Have the NodeManager prove itself as the market wants it; return when another key is due."""
        if pulse.availability in STILL:
            return renew_at
        if (bool(pulse.ticket), pulse.encrypted) != (node.has_key, node_config.encrypted(join.files)):
            self._join_anew(node, join, ports)
        elif node.has_key and time.monotonic() >= renew_at:
            return time.monotonic() + self._renewed(node, join.machine_id)
        return renew_at

    def _join_anew(self, node: NodeManager, join: Join, ports: Ports) -> None:
        """Start the NodeManager as the market now wants it: with a key or without one, encrypting or not."""
        try:
            again = self._api.resume(join.machine_id)
            if again is None:  # it is leaving, of which the next heartbeat tells
                time.sleep(_LOOK_S)
                return
            self._api.join(again, ports.service, self._host)
            who = self._api.identity(join.machine_id)
        except MarketClientError as error:
            self._say(f"{error}; trying again")
            time.sleep(_LOOK_S)
            return
        self._say("the market has changed how it speaks with machines; the NodeManager is started again")
        node.stop()
        node.identify(who)
        join.files = again.files
        node.start(join.files, ports)

    def _follow_size(self, node: NodeManager, join: Join, pulse: Pulse) -> None:
        """Have the next start use the size that the machine was given meanwhile; YARN has told this one."""
        cores, memory = pulse.core_count, pulse.memory_size
        if (cores, memory) == (join.core_count, join.memory_size):
            return
        join.core_count, join.memory_size = cores, memory
        join.files = node_config.resized(join.files, cores, memory)
        node.cores.hold(cores)
        self._say(f"the machine lends {cores} cores and {memory} MiB from now on")

    def _drain(self, machine_id: str) -> bool:
        """Ask the market to drain this machine; tell whether it will."""
        self._say("draining: no new work, and what runs here is moved off; once more stops at once")
        until = time.monotonic() + _MARKET_PATIENCE_S
        while True:
            try:
                self._api.leave(machine_id)
                return True
            except MarketClientError as error:
                if time.monotonic() > until or self._interrupts > 1:
                    self._say(f"{error}; stopping at once")
                    return False
                time.sleep(1)

    def _leave_now(self, machine_id: str) -> None:
        try:
            self._api.leave(machine_id, now=True)
        except MarketClientError as error:
            self._say(f"{error}; it will notice by itself, and the next start takes this machine up")
            return
        self._folder.forget()

    def _resumed(self, offer: Offer) -> Join | None:
        """Take up the machine of an agent that ended without leaving; None if there is none to take up."""
        known = self._folder.registration()
        if known is None:
            return None
        if known.offer != asdict(offer):
            try:
                self._api.leave(known.machine_id, now=True)
            except MarketClientError:
                self._say("the machine that was lent from here before is another account's; lending anew")
            return None
        join = self._api.resume(known.machine_id)
        if join is not None:
            self._say(f"taking up machine {known.machine_id} where it was")
        return join


def _glance(node: NodeManager, address: str, ports: Ports, pulse: Pulse | None, note: str) -> Glance:
    ticket = pulse.ticket if pulse is not None else ""
    running = containers.running(address, ports.web, ticket) if node.running() else []
    cores = sum(int(container.get("totalVCoresNeeded") or 0) for container in running)
    memory = sum(int(container.get("totalMemoryNeededMB") or 0) for container in running)
    return Glance(pulse, len(running), cores, memory, note)
