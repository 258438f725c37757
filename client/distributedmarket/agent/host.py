"""What the host of a machine really has, and which addresses and ports are free on it."""

from __future__ import annotations

import os
import re
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from distributedmarket.agent.node_config import Ports
from distributedmarket.errors import SetupError
from distributedmarket.runtime import java, terminal

_MIN_DISK_MIB = 1024


@dataclass(frozen=True)
class Host:
    """Cores and memory that this process may use, free disk (MiB), Java's home and major version."""

    cores: int
    memory_mib: int
    disk_mib: int
    java_home: str
    java: int


def look(folder: Path) -> Host:
    """Return what this host has; the disk is that of `folder`. Raises SetupError without a fitting Java."""
    home, version = _java()
    return Host(
        cores=len(os.sched_getaffinity(0)),
        memory_mib=_memory_mib(),
        disk_mib=shutil.disk_usage(folder).free >> 20,
        java_home=home,
        java=version,
    )


def refuse_too_much(host: Host, cores: int, memory_mib: int) -> None:
    """Raise SetupError, with the remedy, if more is declared than this host has."""
    if cores > host.cores:
        raise SetupError(
            f"this machine has {host.cores} cores, not {cores}: lend at most --cores {host.cores}"
        )
    if memory_mib > host.memory_mib:
        raise SetupError(
            f"this machine has {terminal.size(host.memory_mib)} of memory, not {terminal.size(memory_mib)}: "
            f"lend at most --memory {host.memory_mib}m, and leave some for yourself"
        )
    if host.disk_mib < _MIN_DISK_MIB:
        raise SetupError(
            f"only {terminal.size(host.disk_mib)} of disk are free; "
            f"jobs need {terminal.size(_MIN_DISK_MIB)}: make room first"
        )


def time_zone() -> str:
    """Return the name of this host's time zone, UTC if it has none."""
    named = os.environ.get("TZ", "").lstrip(":") or str(Path("/etc/localtime").resolve())
    if "zoneinfo/" in named:
        return named.partition("zoneinfo/")[2]
    return named if re.fullmatch(r"[A-Za-z_]+(/[\w+-]+)*", named) else "UTC"


def is_local(server: str) -> bool:
    """Tell whether the market at this address is on this very host, on the loopback interface."""
    name = urlsplit(server).hostname or ""
    try:
        return socket.gethostbyname(name).startswith("127.")
    except OSError:
        raise SetupError(f"the host of {server} is not known: check --server") from None


def address_towards(server: str) -> str:
    """Return the address of this host that reaches the market."""
    parts = urlsplit(server)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((parts.hostname or "", parts.port or 80))  # sends nothing
        address: str = probe.getsockname()[0]
    return address


def choose_ports(address: str, service: int) -> Ports:
    """Return free ports on an address, the wished one for the service if it is free.

    Raises SetupError if the address is not one of this host.
    """
    held: list[socket.socket] = []
    try:
        wished = _hold(address, service) or _hold(address, 0)
        if wished is None:
            raise SetupError(f"{address} is no address of this machine: say another one with --address")
        held = [wished, *(free for free in (_hold(address, 0) for _ in range(3)) if free is not None)]
        numbers = [port.getsockname()[1] for port in held]
    finally:
        for port in held:
            port.close()
    return Ports(*numbers)


def is_free(address: str, port: int) -> bool:
    """Tell whether nobody listens on a port of an address."""
    held = _hold(address, port)
    if held is not None:
        held.close()
    return held is not None


def _hold(address: str, port: int) -> socket.socket | None:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((address, port))
    except OSError:
        held.close()
        return None
    return held


def _memory_mib() -> int:
    """Return the host's memory, or this control group's limit if that is less."""
    text = Path("/proc/meminfo").read_text()
    match = re.search(r"MemTotal:\s+(\d+) kB", text)
    total = int(match.group(1)) >> 10 if match else 0
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(path).read_text()) >> 20)
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return total


def _java() -> tuple[str, int]:
    program = shutil.which("java")
    if program is None:
        raise SetupError(f"Java is missing: {java.REMEDY}")
    version = java.version(program) or 0
    if version not in java.VERSIONS:
        raise SetupError(f"Java {version or '?'} is in the PATH ({program}); Spark needs Java 17 or 21")
    return str(Path(program).resolve().parents[1]), version
