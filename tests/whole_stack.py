"""The stack that tests look at: new and empty, with settings of its own; `start` and `stop` as commands, too.

Several processes test one stack: what they would otherwise share is there in plenty, or once for each (see
`_CHANGED`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import requests
from commands import market

from market.cluster.clients import asker
from market.kit import settings

STATE = settings.ROOT / ".market" / "test-stack"
CONFIG = settings.ROOT / ".market" / "test-stack.toml"
MODE = "MARKET_TEST_SECURITY"  # a variable: the mode of [security], if not the shipped one
INDEX_PORT = 18999  # where a test serves packages
# What tests need otherwise than it is shipped, by section.
_CHANGED: dict[str, dict[str, Any]] = {
    # All come from one address, and many at once.
    "accounts": {"login_attempts_per_minute": 1000, "registrations_per_minute": 1000},
    # Bounds that a test's job reaches soon, and an index of the tests' own; and most of a test's wait is a
    # job's own time.
    "jobs": {
        "max_log_mib": 48,
        "max_disk_mib": 384,
        "find_every_ms": 500,
        "package_index": f"http://127.0.0.1:{INDEX_PORT}/simple",
    },
    # A test lends a host that makes the archive of them itself; setup has made one of all.
    "machines": {"archived_classes": 2000},
    # A test's job lives longer than a token that nobody renews; and what a market beyond loopback has.
    "security": {"token_renewal_s": 60, "wire_encryption": "on"},
    # A test waits for it, and no other depends on how long it takes.
    "recovery": {"scheduler_silence_s": 25, "look_every_s": 5},
    # A test's webhooks listen on the same host.
    "notifications": {"webhook_networks": "127.0.0.0/8"},
    # Drivers of jobs that several files run at once.
    "pool": {"cores": 32, "memory_mib": 16384},
}
# Types of machines, each for one file: what it lends and what it fills is nobody else's. `gpu` nobody lends.
_TYPES = ("awaited", "draining", "dying", "fresh", "shared", "silent")


def use(state: Path = STATE) -> settings.Settings:
    """Let this process, and those that it starts, speak to the tests' stack; return its settings."""
    os.environ["MARKET_STATE_DIR"] = str(state)
    if state == STATE:
        os.environ["MARKET_CONFIG"] = str(CONFIG)
    return settings.load(state)


def start() -> None:
    """Start it, new and empty."""
    configure()
    use()
    market("down", "--force")
    shutil.rmtree(STATE, ignore_errors=True)
    market("up")


def configure(mode: str | None = None) -> None:
    """Write its settings; `mode` is that of [security], if not the one that it is started with."""
    sections = changed(tomllib.loads((settings.ROOT / "config" / "market.toml").read_text()))
    if mode is not None:
        _with_mode(sections["security"], mode)
    CONFIG.parent.mkdir(exist_ok=True)
    CONFIG.write_text(_toml(sections))
    settings._load.cache_clear()  # a command reads them once


def stop() -> None:
    """Stop it, and all that tests have left there."""
    use()
    market("down", "--force")


def get(stack: settings.Settings, url: str) -> requests.Response:
    """Ask one of Hadoop's or Spark's servers as the market does."""
    proof = asker(stack).proof(url)
    return requests.get(url, params=dict(proof.parameters), headers=dict(proof.headers), timeout=30)


def changed(shipped: dict[str, Any]) -> dict[str, Any]:
    """Return the shipped configuration with what tests need otherwise."""
    sections = {name: values | _CHANGED.get(name, {}) for name, values in shipped.items()}
    if MODE in os.environ:
        _with_mode(sections["security"], os.environ[MODE])
    sections["types"] |= {name: {"weight": "1.000000"} for name in _TYPES}
    return sections


def _with_mode(section: dict[str, Any], mode: str) -> None:
    section["mode"] = mode
    if mode == settings.SIMPLE:  # in which Hadoop has nothing to encrypt by
        section["wire_encryption"] = settings.OFF


def _toml(sections: dict[str, Any], above: str = "") -> str:
    """Write what `tomllib` has read; its numbers, texts and truths look the same in JSON."""
    lines: list[str] = []
    for name, values in sections.items():
        inner = {key: value for key, value in values.items() if isinstance(value, dict)}
        lines.append(f"[{above}{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items() if key not in inner]
        lines.append(_toml(inner, f"{above}{name}."))
    return "\n".join(lines)


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]]()
