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

from commands import market

from market.kit import settings

STATE = settings.ROOT / ".market" / "test-stack"
CONFIG = settings.ROOT / ".market" / "test-stack.toml"
# What tests need otherwise than it is shipped, by section.
_CHANGED: dict[str, dict[str, Any]] = {
    # All come from one address, and many at once.
    "accounts": {"login_attempts_per_minute": 1000, "registrations_per_minute": 1000},
    # A test waits for it, and no other depends on how long it takes.
    "recovery": {"scheduler_silence_s": 25, "look_every_s": 5},
    # Drivers of jobs that several files run at once.
    "pool": {"cores": 32, "memory_mib": 16384},
}
# Types of machines, each for one file: what it lends and what it fills is nobody else's. `gpu` nobody lends.
_TYPES = ("dying", "draining", "fresh", "shared", "silent")


def use(state: Path = STATE) -> settings.Settings:
    """Let this process, and those that it starts, speak to the tests' stack; return its settings."""
    os.environ["MARKET_STATE_DIR"] = str(state)
    if state == STATE:
        os.environ["MARKET_CONFIG"] = str(CONFIG)
    return settings.load(state)


def start() -> None:
    """Start it, new and empty."""
    CONFIG.parent.mkdir(exist_ok=True)
    CONFIG.write_text(_toml(changed(tomllib.loads((settings.ROOT / "config" / "market.toml").read_text()))))
    use()
    market("down", "--force")
    shutil.rmtree(STATE, ignore_errors=True)
    market("up")


def stop() -> None:
    """Stop it, and all that tests have left there."""
    use()
    market("down", "--force")


def changed(shipped: dict[str, Any]) -> dict[str, Any]:
    """Return the shipped configuration with what tests need otherwise."""
    sections = {name: values | _CHANGED.get(name, {}) for name, values in shipped.items()}
    sections["types"] |= {name: {"weight": "1.000000"} for name in _TYPES}
    return sections


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
