"""What a container may reach of its host by the network: the market's services and its own job.

eBPF programs at each container's control group (version 2) decide, so that addresses and ports stay as they
are, and nothing is set up in the host's firewall:

* Nothing is sent to addresses that are of one link only, where clouds tell a host's secrets (169.254.0.0/16,
  fe80::/10, and a few others).
* At an address of this very host a container reaches the market's services that it needs, and whoever
  listens in a container of the same job, on whichever machine of this host. The kernel finds the listening
  socket and its control group for each connection that is begun: who had the port before does not matter.
* Machines of this host that somebody lends who is not root have addresses 127.x.y.z of their own, at which
  nobody can tell their containers: these stay open, to jobs that work on both.
* It has no other addresses than its machine's own and 127.0.0.1: limits by address count.

Other hosts are reached as before. Standard library only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from distributedmarket.agent import bpf
from distributedmarket.agent.bpf import R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, Map, Program

_EGRESS, _BIND4, _BIND6, _CONNECT4, _CONNECT6, _SENDMSG4, _SENDMSG6 = 1, 8, 9, 10, 11, 14, 15
_SOCKET_ADDRESS = 24  # in struct bpf_sock: where it listens
_LOAD_BYTES, _SKB_GROUP, _LOOKUP_TCP, _LOOKUP_UDP, _RELEASE, _SOCKET_GROUP = 26, 79, 84, 85, 86, 128
_DENY, _ALLOW = 0, 1
_TCP, _UDP, _ICMP, _ICMP6 = 6, 17, 1, 58
_SYN, _SYN_ACK = 2, 18
_IPV4, _IPV6 = 0x0008, 0xDD86  # in the order of the network, as they are read here
_MAPPED = -0x10000  # ::ffff:0:0 in the same way
_LOCAL, _FORBIDDEN = 1, 2
_MOST, _MOST_SERVICES = 16_384, 1_024
_YES = struct.pack("<I", 1)
_JOBS, _NODES, _HELD = (
    "market_jobs",
    "market_nodes",
    "market_held",
)  # tables that all machines of a host share
_LOOPBACK = 0x0100007F  # 127.0.0.1 in the same way
# Where clouds tell a host who it is, outside the addresses of one link: Alibaba, Azure, Oracle, Amazon.
_METADATA = ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")

# Places on the stack, by their distance from its end.
_GROUP, _KEY, _PORT, _HEADER, _TRANSPORT, _TUPLE = -8, -32, -16, -80, -96, -136

Endpoint = tuple[str, int]  # address and port


class Wall:
    """The programs and tables of one machine.

    `mount` is where control groups are mounted, `own` the machine's address. `node` is what is open of its
    NodeManager to the programs of all machines of this host, `services` what is open to its own. Raises
    OSError where it cannot be had.
    """

    def __init__(
        self, mount: Path, own: str, node: Iterable[Endpoint] = (), services: Iterable[Endpoint] = ()
    ) -> None:
        self._addresses = Map.make(bpf.HASH, 16, 4, _MOST)
        self._services = Map.make(bpf.HASH, 20, 4, _MOST_SERVICES)
        self._known: set[bytes] = set()
        self._node = [_place(*endpoint) for endpoint in node]
        root = os.open(mount, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(root, fcntl.LOCK_EX)  # so that two machines do not both make them
            self._jobs = Map.named(_JOBS) or Map.make(bpf.RECENT_HASH, 8, 8, _MOST, _JOBS)
            self._nodes = Map.named(_NODES) or Map.make(bpf.RECENT_HASH, 20, 4, _MOST_SERVICES, _NODES)
            self._held = Map.named(_HELD) or Map.make(bpf.RECENT_HASH, 16, 4, _MOST_SERVICES, _HELD)
        finally:
            os.close(root)
        for known in self._node:
            self._nodes.put(known, _YES)
        self._own = _packed(own)
        self._held.put(self._own, _YES)
        for address, port in (*services, *_name_servers()):
            self._services.put(_place(address, port), _YES)
        for address in _METADATA:
            self._addresses.put(_packed(address), struct.pack("<I", _FORBIDDEN))
        self.look()
        own_word = struct.unpack("<i", socket.inet_aton(own))[0]
        programs = {_EGRESS: self._egress(), _BIND4: _bind4(own_word), _BIND6: _bind6(own_word)}
        for kind in (_CONNECT4, _SENDMSG4):
            programs[kind] = self._towards(four=True)
        for kind in (_CONNECT6, _SENDMSG6):
            programs[kind] = self._towards(four=False)
        self._programs = {
            kind: bpf.load(bpf.CGROUP_SKB if kind == _EGRESS else bpf.CGROUP_SOCK_ADDR, kind, program)
            for kind, program in programs.items()
        }

    def around(self, group: Path, application: str) -> None:
        """Hold what is in a control group to it; it is of this application. Raises OSError."""
        key = struct.pack("<Q", group.stat().st_ino)
        self._jobs.put(key, hashlib.sha256(application.encode()).digest()[:8])
        opened = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for kind, program in self._programs.items():
                bpf.attach(opened, program, kind)
        finally:
            os.close(opened)

    def take_down(self) -> None:
        """Forget the machine's NodeManager, and close what is open: what is attached to groups stays."""
        for known in self._node:
            with suppress(OSError):
                self._nodes.drop(known)
        with suppress(OSError):
            self._held.drop(self._own)
        tables = (self._addresses, self._services, self._jobs, self._nodes, self._held)
        for descriptor in (*self._programs.values(), *(table.descriptor for table in tables)):
            os.close(descriptor)

    def look(self) -> None:
        """Learn which addresses are this host's now."""
        found = {_packed(address) for address in local_addresses()}
        for gone in self._known - found:
            with suppress(OSError):
                self._addresses.drop(gone)
        for new in found - self._known:
            self._addresses.put(new, struct.pack("<I", _LOCAL))
        self._known = found

    def _egress(self) -> Program:
        """Return the program that is asked for each packet that a container sends."""
        program = Program()
        program.move(R6, R1)
        for offset in range(_TUPLE, 0, 8):
            program.store_number(R10, offset, 0, 8)
        program.load(R0, R6, 16, 4)
        program.jump_if(R0, "==", _IPV4, "four")
        program.jump_if(R0, "==", _IPV6, "six")
        program.leave(_DENY)
        program.place("four")
        _load_bytes(program, None, 20, _HEADER)
        program.load(R7, R10, _HEADER, 1)
        program.math(R7, "&", 15)
        program.math(R7, "<<", 2)
        program.load(R8, R10, _HEADER + 9, 1)
        program.store_number(R10, _KEY + 8, _MAPPED, 4)
        for header, key, offset in ((12, None, 0), (16, 12, 4)):
            program.load(R0, R10, _HEADER + header, 4)
            program.store(R10, _TUPLE + offset, R0, 4)
            if key is not None:
                program.store(R10, _KEY + key, R0, 4)
        program.set(R9, 12)
        program.jump("packet")
        program.place("six")
        _load_bytes(program, None, 40, _HEADER)
        program.set(R7, 40)
        program.load(R8, R10, _HEADER + 6, 1)
        for word in range(4):
            program.load(R0, R10, _HEADER + 8 + 8 * word, 8)
            program.store(R10, _TUPLE + 8 * word, R0, 8)
            if word > 1:
                program.store(R10, _KEY + 8 * (word - 2), R0, 8)
        program.set(R9, 36)
        program.place("packet")
        program.jump_if(R8, "==", _TCP, "tcp")
        program.jump_if(R8, "==", _UDP, "udp")
        program.jump_if(R8, "==", _ICMP, "address")
        program.jump_if(R8, "==", _ICMP6, "address")
        program.leave(_DENY)
        program.place("tcp")
        _load_bytes(program, R7, 14, _TRANSPORT)
        program.load(R0, R10, _TRANSPORT + 13, 1)
        program.math(R0, "&", _SYN_ACK)
        program.jump_if(R0, "!=", _SYN, "allow")  # it has begun already
        program.jump("ports")
        program.place("udp")
        _load_bytes(program, R7, 4, _TRANSPORT)
        program.place("ports")
        program.load(R0, R10, _TRANSPORT + 2, 2)
        program.store(R10, _PORT, R0, 2)
        program.load(R0, R10, _TRANSPORT, 4)
        program.jump_if(R9, "==", 36, "six ports")
        program.store(R10, _TUPLE + 8, R0, 4)
        program.jump("service")
        program.place("six ports")
        program.store(R10, _TUPLE + 32, R0, 4)
        program.place("service")
        for known in (self._services, self._nodes):
            program.find(known, _KEY)
            program.jump_if(R0, "!=", 0, "allow")
        program.place("address")
        self._judge(program, "local")
        program.place("local")
        self._same_job(program)
        program.place("allow")
        program.leave(_ALLOW)
        program.place("deny")
        program.leave(_DENY)
        return program

    def _judge(self, program: Program, local: str) -> None:
        """Go on at `deny`, `allow` or `local`, by the address of the key."""
        program.load(R0, R10, _KEY + 8, 4)
        program.jump_if(R0, "==", _MAPPED, "as four")
        program.load(R0, R10, _KEY, 2)
        program.math(R0, "&", 0xC0FF)
        program.jump_if(R0, "==", 0x80FE, "deny")
        program.jump("table")
        program.place("as four")
        program.load(R0, R10, _KEY + 12, 2)
        program.jump_if(R0, "==", 0xFEA9, "deny")
        program.math(R0, "&", 0xFF)
        program.jump_if(R0, "==", 127, local)
        program.place("table")
        program.find(self._addresses, _KEY)
        program.jump_if(R0, "==", 0, "allow")
        program.load(R0, R0, 0, 4)
        program.jump_if(R0, "==", _FORBIDDEN, "deny")

    def _same_job(self, program: Program) -> None:
        """Go on at `allow` if nobody listens there, or a container of the same job; else at `deny`."""
        program.jump_if(R8, "==", _ICMP, "allow")
        program.jump_if(R8, "==", _ICMP6, "allow")
        for protocol, function in ((_TCP, _LOOKUP_TCP), (_UDP, _LOOKUP_UDP)):
            program.jump_if(R8, "!=", protocol, f"not {protocol}")
            for length in (12, 36):
                program.jump_if(R9, "!=", length, f"{protocol} {length}")
                program.move(R1, R6)
                program.move(R2, R10)
                program.math(R2, "+", _TUPLE)
                program.set(R3, length)
                program.set(R4, -1)  # in this network namespace
                program.set(R5, 0)
                program.call(function)
                program.jump("found")
                program.place(f"{protocol} {length}")
            program.place(f"not {protocol}")
        program.leave(_DENY)
        program.place("found")
        program.jump_if(R0, "==", 0, "allow")
        program.move(R7, R0)
        program.move(R1, R0)
        program.call(_SOCKET_GROUP)
        program.store(R10, _GROUP, R0, 8)
        program.load(R0, R7, _SOCKET_ADDRESS, 4)
        program.store(R10, _TRANSPORT, R0, 4)
        program.move(R1, R7)
        program.call(_RELEASE)
        program.find(self._jobs, _GROUP)
        program.jump_if(R0, "==", 0, "no job's")
        program.load(R7, R0, 0, 8)
        program.move(R1, R6)
        program.call(_SKB_GROUP)
        program.store(R10, _GROUP, R0, 8)
        program.find(self._jobs, _GROUP)
        program.jump_if(R0, "==", 0, "deny")
        program.load(R0, R0, 0, 8)
        program.jump_if_same(R0, R7, "allow")
        program.jump("deny")
        program.place("no job's")
        self._other_machine_s(program)

    def _other_machine_s(self, program: Program) -> None:
        """Go on at `allow` for who listens at an address 127.x.y.z of his own that is no held machine's."""
        program.load(R0, R10, _KEY + 8, 4)
        program.jump_if(R0, "!=", _MAPPED, "deny")
        program.load(R0, R10, _KEY + 12, 4)
        program.jump_if(R0, "==", _LOOPBACK, "deny")
        program.load(R7, R10, _TRANSPORT, 4)
        program.jump_if_same(R0, R7, "at his own")
        program.jump("deny")
        program.place("at his own")
        program.math(R0, "&", 0xFF)
        program.jump_if(R0, "!=", 127, "deny")
        program.find(self._held, _KEY)
        program.jump_if(R0, "==", 0, "allow")
        program.jump("deny")

    def _towards(self, *, four: bool) -> Program:
        """Return the program that is asked where a socket is to be connected: a refusal is told at once."""
        program = Program()
        program.store_number(R10, _KEY, 0, 8)
        if four:
            program.load(R0, R1, 4, 4)
            program.store(R10, _KEY + 12, R0, 4)
            program.store_number(R10, _KEY + 8, _MAPPED, 4)
        else:
            for word in range(0, 16, 4):
                program.load(R0, R1, 8 + word, 4)
                program.store(R10, _KEY + word, R0, 4)
        self._judge(program, "allow")
        program.place("allow")
        program.leave(_ALLOW)
        program.place("deny")
        program.leave(_DENY)
        return program


def usable(groups: Path, address: str) -> bool:
    """Tell, by trying, whether containers whose control groups are in a folder can be held to it."""
    group = groups / f"trial-{os.getpid()}"
    try:
        group.mkdir(parents=True)
        try:
            wall = Wall(groups.parent, address)
            try:
                wall.around(group, "trial")
            finally:
                wall.take_down()
        finally:
            group.rmdir()
            groups.rmdir()
    except OSError:
        return False
    return True


def _load_bytes(program: Program, offset: int | None, length: int, place: int) -> None:
    """Copy bytes of the packet onto the stack, from an offset in a register; end where it is too short."""
    program.move(R1, R6)
    if offset is None:
        program.set(R2, 0)
    else:
        program.move(R2, offset)
    program.move(R3, R10)
    program.math(R3, "+", place)
    program.set(R4, length)
    program.call(_LOAD_BYTES)
    program.jump_if(R0, "!=", 0, "deny")


def _bind4(own: int) -> Program:
    program = Program()
    program.load(R0, R1, 4, 4)
    _own_address(program, own)
    return program


def _bind6(own: int) -> Program:
    """Return the program for sockets of IPv6, which take addresses of IPv4 as well."""
    program = Program()
    for offset in (8, 12):
        program.load(R0, R1, offset, 4)
        program.jump_if(R0, "!=", 0, "deny")
    program.load(R2, R1, 16, 4)
    program.load(R0, R1, 20, 4)
    program.jump_if(R2, "==", _MAPPED, "mapped")
    program.jump_if(R2, "!=", 0, "deny")
    program.jump_if(R0, "==", 0, "allow")
    program.jump_if(R0, "==", 1 << 24, "allow")  # ::1
    program.jump("deny")
    program.place("mapped")
    _own_address(program, own)
    return program


def _own_address(program: Program, own: int) -> None:
    for word in (0, 0x0100007F, own):
        program.jump_if(R0, "==", word, "allow")
    program.place("deny")
    program.leave(_DENY)
    program.place("allow")
    program.leave(_ALLOW)


def _packed(address: str) -> bytes:
    found = ip_address(address.partition("%")[0])
    return found.packed if isinstance(found, IPv6Address) else b"\0" * 10 + b"\xff\xff" + found.packed


def _place(address: str, port: int) -> bytes:
    return _packed(address) + struct.pack(">HH", port, 0)


def local_addresses() -> Iterator[str]:
    """Yield the addresses of this network namespace."""
    last = ""
    for line in Path("/proc/net/fib_trie").read_text().splitlines():
        words = line.split()
        if words[0] == "|--":
            last = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"]:
            yield last
    with suppress(OSError):  # a host without IPv6
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            yield str(IPv6Address(bytes.fromhex(line.split()[0])))


def _name_servers() -> Iterator[Endpoint]:
    with suppress(OSError):
        for line in Path("/etc/resolv.conf").read_text(errors="replace").splitlines():
            words = line.split()
            if words[:1] == ["nameserver"] and len(words) > 1:
                with suppress(ValueError):
                    yield str(ip_address(words[1].partition("%")[0])), 53
