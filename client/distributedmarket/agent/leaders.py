"""The containers of a NodeManager as its guard sees them: taken up at their start, ended as a whole.

Each container's first process (enclose.py), its leader, reports at the guard's door. What comes to the guard
itself belongs to no container that runs, and is killed. Standard library only.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import struct
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from distributedmarket.agent import enclose, groups, limits, owners, tree
from distributedmarket.agent.disk_use import Limit
from distributedmarket.agent.network import Wall

_TICK_S = 2.0
_DISK_SHARE = 10  # of the time, one part goes into looking at the disk at most
_PLACE = re.compile(rb"/(application_\d+_\d+)/(container_\w+)/[^/]+$")
_CREDENTIALS = struct.Struct("3i")  # process, user, group


@dataclass(frozen=True)
class Leader:
    """The first process of a container, held by a descriptor, so that its id cannot become another's."""

    pid: int
    descriptor: int
    application: str
    number: int  # of its account; 0: the NodeManager's own
    groups: tuple[Path, ...] = ()

    def stop(self, sent: signal.Signals) -> None:
        """End it with the signal for who goes beyond a limit; its container goes with it."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, sent)

    def ran_out(self) -> bool:
        """Tell whether the kernel has ended something of it for want of memory."""
        return any(limits.ran_out(group) for group in self.groups)


@dataclass(frozen=True)
class Accounts:
    """Where containers get accounts of their own from; `inner` is that of the NodeManager."""

    numbers: owners.Range
    inner: tuple[int, int]  # user and group
    work: Path


@dataclass(frozen=True)
class Means:
    """What containers are kept in: folders for their control groups, by controller, accounts, and a wall."""

    group: Path | None = None
    limits: dict[str, Path] = field(default_factory=dict)
    accounts: Accounts | None = None
    wall: Wall | None = None


class Leaders:
    """Those of one NodeManager. The door is a name in Linux's abstract space of sockets."""

    def __init__(self, door: str, means: Means) -> None:
        self._means = means
        self._asking: dict[int, tuple[socket.socket, Leader]] = {}  # the doors that leaders hold open
        self._node_manager = 0
        self._leaders: dict[int, Leader] = {}
        self._lock = threading.Lock()  # of the leaders: what holds them to the disk is another thread
        self._left: list[Path] = []  # groups that are not gone yet
        self._events = selectors.DefaultSelector()
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(f"\0{door}")
        self._door.listen(64)
        self._door.setblocking(False)
        self._events.register(self._door, selectors.EVENT_READ)

    def keep(self, node_manager: int) -> None:
        """Serve the containers of a NodeManager for as long as this process lives."""
        self._node_manager = node_manager
        next_tick = 0.0
        while True:
            for key, _ in self._events.select(_TICK_S):
                if key.fileobj is self._door:
                    self._admit()
                elif key.fd in self._asking:
                    self._answer(key.fd)
                else:
                    self._ended(key.fd)
                    next_tick = 0.0
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + _TICK_S
                self._left = [group for group in self._left if not groups.end(group)]
                self._end_strays()
                self._look()

    def hold_to(self, limit: Limit) -> None:
        """Stop applications that hold more of the disk than they may, for as long as this process lives."""
        took_s = 0.0
        while True:
            time.sleep(max(_TICK_S, _DISK_SHARE * took_s))
            began = time.monotonic()
            with self._lock:
                running: dict[str, set[int]] = {}
                for leader in self._leaders.values():
                    if leader.application:
                        running.setdefault(leader.application, set()).add(leader.pid)
            for application in limit.exceeded(running):
                print(f"{application} holds more than {limit.mib} MiB of disk: stopped", flush=True)
                with self._lock:
                    for leader in self._leaders.values():
                        if leader.application == application:
                            leader.stop(signal.SIGXFSZ)
            took_s = time.monotonic() - began

    def _admit(self) -> None:
        """Take a leader up. Any other process that comes to the door is sent away."""
        with suppress(OSError, ValueError):  # it has gone; or there is no account left for it, and it fails
            caller, _ = self._door.accept()
            with ExitStack() as unless_asking:
                unless_asking.enter_context(caller)
                caller.setblocking(False)
                words = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
                pid = _CREDENTIALS.unpack(words)[0]
                leader = self._take_up(pid) if self._is_leader(pid) else None
                caller.send(b".")
                if leader is not None:
                    self._asking[caller.fileno()] = caller, leader
                    self._events.register(caller, selectors.EVENT_READ)
                    unless_asking.pop_all()

    def _answer(self, descriptor: int) -> None:
        """Give a leader the account that it asks for, tell it what it asks, or see that it has ended."""
        caller, leader = self._asking[descriptor]
        try:
            wish = caller.recv(1)
            if wish == enclose.ACCOUNT and (accounts := self._means.accounts):
                owners.give(caller, leader.pid, accounts.work, accounts.inner, leader.number)
                return
            if wish == enclose.MEMORY:
                caller.send(enclose.RAN_OUT if leader.ran_out() else b".")
        except (OSError, ValueError) as error:  # without an account it does not start
            print(f"a container gets no answer: {error}", flush=True)
        self._events.unregister(caller)
        del self._asking[descriptor]
        caller.close()

    def _is_leader(self, pid: int) -> bool:
        """Tell whether a process stands where no program of a job can: YARN's script is its only parent."""
        parent_of = tree.parents()
        return parent_of.get(parent_of.get(pid, 0), 0) == self._node_manager

    def _take_up(self, pid: int) -> Leader:
        descriptor = os.pidfd_open(pid)
        place = _PLACE.search(Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0"))
        application = place[1].decode() if place else ""
        number = 0
        if self._means.accounts is not None:
            number = self._means.accounts.numbers.free({other.number for other in self._leaders.values()})
        leader = Leader(pid, descriptor, application, number, self._hold(pid, application))
        with self._lock:
            self._leaders[descriptor] = leader
        self._events.register(descriptor, selectors.EVENT_READ)
        return leader

    def _hold(self, pid: int, application: str) -> tuple[Path, ...]:
        """Hold a container to its limits by control groups; return them."""
        made: list[Path] = []
        means = self._means
        try:
            if means.group is not None:
                made.append(groups.make(means.group, pid))
                if means.wall is not None:
                    means.wall.around(made[0], application or made[0].name)
            made += limits.make(means.limits, pid, made[0] if made else None, _memory_mib(pid))
        except OSError as error:  # what it is held to elsewhere is told of this machine
            print(f"a container has no control group: {error}", flush=True)
            tree.kill(pid)
        return tuple(made)

    def _look(self) -> None:
        """Stop containers in which something was ended for want of memory; learn this host's addresses."""
        for leader in self._leaders.values():
            if leader.ran_out():
                leader.stop(signal.SIGXCPU)
        if self._means.wall is not None:
            with suppress(OSError):
                self._means.wall.look()

    def _ended(self, descriptor: int) -> None:
        with self._lock:
            leader = self._leaders.pop(descriptor)
            self._events.unregister(descriptor)
            os.close(descriptor)
        self._left += [group for group in leader.groups if not groups.end(group)]

    def _end_strays(self) -> None:
        """Kill what has come to this process: whatever it was a part of has ended."""
        parent_of = tree.parents()
        own = os.getpid()
        strays = {pid for pid, parent in parent_of.items() if parent == own} - {self._node_manager}
        for pid in strays | tree.below(strays, parent_of):
            tree.kill(pid)


def _memory_mib(pid: int) -> int:
    """Return what YARN has allocated to a container, as the NodeManager says it; 0 if it does not."""
    begin = f"{enclose.ALLOCATED}=".encode()
    for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if variable.startswith(begin):
            with suppress(ValueError):
                return int(variable.removeprefix(begin))
    return 0
