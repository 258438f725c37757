"""How an agent ends: with a drain, or at once."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from market.hadoop.node_config import Ports
from market.machines.agent import LEFT, Agent


class Market:
    """Takes note of how the machine is removed; it has left as soon as it was asked to."""

    def __init__(self) -> None:
        self.removed: list[dict[str, Any]] = []

    def delete(self, path: str, **query: Any) -> None:
        self.removed.append(query)

    def get(self, path: str) -> dict[str, Any]:
        return {"availability": "left" if self.removed else "active", "core_count": 1, "memory_size": 1024}


@pytest.mark.parametrize(
    ("signals", "removed"),
    [
        ([signal.SIGTERM], [{}]),
        ([signal.SIGINT], [{}]),
        ([signal.SIGINT, signal.SIGINT], [{"now": "true"}]),
        ([signal.SIGQUIT], [{"now": "true"}]),
        ([signal.SIGQUIT, signal.SIGTERM], [{"now": "true"}]),
    ],
    ids=str,
)
def test_one_interrupt_drains_and_two_or_a_sigquit_end_at_once(
    signals: list[signal.Signals], removed: list[dict[str, str]], tmp_path: Path
) -> None:
    market, nothing = Market(), SimpleNamespace(start=lambda *_: None, running=lambda: False)
    agent = Agent(*(None, market, None, tmp_path), *(lambda _: None,) * 2)  # type: ignore[arg-type]
    for sent in signals:
        agent._interrupted(sent, None)
    join = {"files": {}, "drain_timeout": 120, "core_count": 1, "memory_size": 1024}
    assert agent._lend(nothing, "a machine", join, Ports(1, 2, 3, 4)) == LEFT  # type: ignore[arg-type]
    assert market.removed == removed
