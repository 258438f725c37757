"""When an agent's NodeManager runs: from its admission on, again after it ended, and not while it rests."""

from __future__ import annotations

import time
from collections.abc import Callable

from distributedmarket.agent.api import GONE, Pulse
from distributedmarket.agent.node_config import Files, Ports
from distributedmarket.agent.nodemanager import NodeManager

# YARN lets a machine in some seconds after it has joined. A NodeManager that is started before is refused and
# ends; where the market says nothing for so long, it is tried all the same.
_ADMISSION_S = 30
_RESTING = "resting"
# Who drains, rests or has left has no NodeManager to keep.
STILL = ("draining", _RESTING, *GONE)


class Keeper:
    """Keeps one NodeManager as the market's heartbeats say; `say` gets a line when it is started again."""

    def __init__(self, node: NodeManager, say: Callable[[str], None]) -> None:
        self._node, self._say = node, say
        self._rested = False
        self._try_at = time.monotonic() + _ADMISSION_S

    def follow(self, pulse: Pulse | None, files: Files, ports: Ports) -> None:
        """Start or stop it, if the last heartbeat (None before the first) or its end asks for that."""
        state = pulse.availability if pulse else ""
        if state == _RESTING:
            self._rested, self._try_at = True, time.monotonic() + _ADMISSION_S
            if self._node.running():
                self._node.stop()
        elif state not in STILL and self._let_in(pulse):
            self._keep(files, ports)

    def _let_in(self, pulse: Pulse | None) -> bool:
        """Tell whether one that is started now may register, or whether that is tried in any case."""
        return (pulse is not None and pulse.admitted) or time.monotonic() >= self._try_at

    def _keep(self, files: Files, ports: Ports) -> None:
        again = self._node.begun
        if not self._node.keep(files, ports):
            return
        if again:
            why = "its hours have begun" if self._rested else "the NodeManager had ended"
            self._say(f"{why}; it was started again: see {self._node.log}")
        self._rested = False
