"""Ports: the preferred ones of `config/market.toml`, or others where those are taken."""

from __future__ import annotations

import json
import socket

from market.kit.settings import Settings


def reserve(settings: Settings) -> dict[str, tuple[int, int]]:
    """Choose a port for every service and record it in `run/ports.json`, where all parts read it.

    What was recorded before is kept as long as it is free, so that addresses survive a restart. Return what
    had to move: the name with the preferred and the chosen port. Call it only while no service runs.
    """
    chosen: dict[str, int] = {}
    moved: dict[str, tuple[int, int]] = {}
    for name, preferred in settings.preferred_ports.items():
        candidates = (settings.port(name), preferred)
        port = next(
            (port for port in candidates if port not in chosen.values() and _free(settings.bind, port)), None
        )
        if port is None:
            port = _any_free(settings.bind, set(chosen.values()) | set(settings.preferred_ports.values()))
        if port != preferred:
            moved[name] = (preferred, port)
        chosen[name] = port
    record = settings.paths.run / "ports.json"
    fresh = record.with_suffix(".new")
    fresh.write_text(json.dumps(chosen, indent=1) + "\n")
    fresh.rename(record)
    return moved


def _free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _any_free(host: str, taken: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port
