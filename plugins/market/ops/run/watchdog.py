"""`python -m market.ops.run.watchdog`: ends processes of the stack that are frozen, to be started anew.

A process manager sees that a process has ended, not that it stands still. One that was stopped (SIGSTOP)
keeps its connections to the database, and with them its locks, so that nobody can take its work over. And
what it did not do meanwhile it would do when it wakes, long after others have gone on.

Once an hour it renews the API's certificate, if that ends soon.

Whatever of the stack stands still for some seconds is killed, machines and their agents aside. A triggerer
whose own loop hangs falls silent without being stopped: it is killed as well when it is silent for long.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from distributedmarket.agent import process_tags
from market.cluster.errors import ClusterUnavailable
from market.kit import deadlines
from market.kit.settings import Settings, SettingsError, load
from market.ops.run import certificate, leftovers
from market.ops.run.services import Service, all_services, watchdog_beat

log = logging.getLogger("watchdog")

_LOOK_S = 2.0
_CERTIFICATE_S = (
    3600.0  # how often the end of the API's certificate is looked at; the api-server takes a new one
)
# A triggerer is silent for a while also where its host is very busy. No job ends of that, but jobs would
# suffer from a triggerer that is started over and over.
_SILENT_S = 45.0
_TRIGGERER = "triggerer"
_SILENT = "its heartbeat is unhealthy"
_STOPPED = "T"


@dataclass(frozen=True)
class Process:
    """A process, told apart from a later one of the same number by when it started (clock ticks)."""

    pid: int
    started: int


class Watchdog:
    """Looks after the processes of one stack."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._state = settings.paths.state
        self._frozen_s = deadlines.FROZEN.seconds(settings)
        self._stopped: dict[Process, float] = {}  # since when, on the monotonic clock
        self._silent_since: float | None = None
        self._triggerer = next(one for one in all_services(settings) if one.name == _TRIGGERER)

    def look(self) -> list[int]:
        """Kill what has stood still for long enough; return the ids of those processes."""
        now, pids = time.monotonic(), leftovers.find(self._state)
        stopped = {process for pid in pids if (process := _stopped(pid)) is not None}
        if stopped:
            # A machine that stands still is for YARN to miss, and a job may stop itself. With an agent its
            # machine would end, which works on meanwhile.
            spared = {one for pid, _ in process_tags.processes() for one in leftovers.lineage(pid)}
            stopped = {process for process in stopped if process.pid not in spared}
        self._stopped = {process: self._stopped.get(process, now) for process in stopped}
        overdue = [one for one, since in self._stopped.items() if now - since >= self._frozen_s]
        for process in overdue:
            log.warning("process %d was stopped %.0f s ago: it is killed", process.pid, self._frozen_s)
            _kill(process.pid)
        killed = [process.pid for process in overdue]
        return killed + self._end_silent_triggerer(pids, now)

    def _end_silent_triggerer(self, pids: list[int], now: float) -> list[int]:
        leader = leftovers.leader(self._state, _TRIGGERER)
        if leader not in pids or not _is_silent(self._settings, self._triggerer):
            self._silent_since = None
            return []
        self._silent_since = self._silent_since or now
        if now - self._silent_since < _SILENT_S:
            return []
        log.warning("the triggerer, process %d, is silent: it is killed", leader)
        _kill(leader)
        self._silent_since = None
        return [leader]


def _is_silent(settings: Settings, triggerer: Service) -> bool:
    """Tell whether the triggerer is known to be silent; not where nobody answers who knows it."""
    try:
        return triggerer.check(settings) == _SILENT
    except (ClusterUnavailable, OSError, ValueError, KeyError):
        return False


def _stopped(pid: int) -> Process | None:
    """Return a process that is stopped; None for one that is not, or was stopped at somebody's terminal."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:  # it ended meanwhile
        return None
    state, terminal, started = fields[0], int(fields[4]), int(fields[19])
    return Process(pid, started) if state == _STOPPED and terminal == 0 else None


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError) as error:
        log.warning("process %d is not killed: %s", pid, error)


def _renew_certificate(settings: Settings) -> None:
    try:
        if certificate.prepare(settings):
            log.warning("the API's certificate is renewed")
    except (OSError, ValueError, SettingsError) as error:
        log.error("the API's certificate is not renewed: %s", error)


def main() -> None:
    """Look, until a signal ends this process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = load()
    watchdog = Watchdog(settings)
    certified = time.monotonic()
    while True:
        watchdog.look()
        if time.monotonic() - certified > _CERTIFICATE_S:
            certified = time.monotonic()
            _renew_certificate(settings)
        watchdog_beat(settings).touch()
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    main()
