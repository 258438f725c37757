"""Listens to the market beside the agent: the last that was heard of this machine."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from distributedmarket.agent.api import GONE, AgentApi, Pulse
from distributedmarket.client import MarketClientError, UnreachableError

_PAUSE_S = 2.0  # after an error
_BREATH_S = 0.5  # after a change: a state that keeps changing must not become a busy loop


@dataclass(frozen=True)
class Heard:
    """The last answer, None before the first one, and what is wrong now; "" if nothing is."""

    pulse: Pulse | None = None
    note: str = ""


class PulseListener:
    """Sends one heartbeat after the other in a thread of its own; `heard` is what came of them."""

    def __init__(self, api: AgentApi, machine_id: str) -> None:
        self.heard = Heard()
        self._api, self._machine_id = api, machine_id
        self._ended = threading.Event()
        # A daemon: a heartbeat that is held must not hold the end of the agent.
        self._thread = threading.Thread(target=self._listen, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Send no further heartbeat."""
        self._ended.set()

    def _listen(self) -> None:
        while not self._ended.is_set():
            pulse = self.heard.pulse
            known = pulse.version if pulse else ""
            try:
                answer = self._api.heartbeat(self._machine_id, known)
            except UnreachableError:
                self.heard = Heard(pulse, "the market does not answer")
                self._ended.wait(_PAUSE_S)
            except MarketClientError as error:
                self.heard = Heard(pulse, str(error))
                self._ended.wait(_PAUSE_S)
            else:
                self.heard = Heard(answer)
                if answer.availability in GONE:
                    return
                if answer.version != known:
                    self._ended.wait(_BREATH_S)
