"""Processes of tests that run side by side, each with its output in a file, and what pytest says in it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_PATIENCE_S = 120  # of whoever interrupts: a lane that has started a stack stops it first
# pytest's closing line, and a line of its progress.
_CLOSING = re.compile(r"^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s", re.MULTILINE)
_PROGRESS = re.compile(r"^([.FEsxX]+)(?: +\[ *\d+%\])?$", re.MULTILINE)
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$", re.MULTILINE)
_KINDS = {"passed": "passed", "xfailed": "passed", "skipped": "skipped"}
_KINDS |= dict.fromkeys(("failed", "error", "errors", "xpassed"), "failed")


@dataclass
class Lane:
    """A process of a group; of one that is no pytest only a failure counts.

    `marks` are those of the tests that pytest runs; `again_of` is the lane whose failed tests it runs again.
    """

    group: str
    name: str
    command: list[str]
    nice: int = 0
    pytest: bool = True
    marks: str = ""
    again_of: Lane | None = None
    began: float = 0.0
    ended: float = 0.0
    code: int | None = None
    shown: bool = False
    output: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, folder: Path, root: Path, environment: Mapping[str, str]) -> None:
        """Start it in a session of its own: a key that interrupts reaches it through `interrupt` alone."""
        self.output = folder / f"{self.name}.log"
        self.began = time.monotonic()
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                ["env", "--default-signal=INT", "nice", "-n", str(self.nice), *self.command],
                cwd=root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait for its end, and end what it has left in its session."""
        assert self.process is not None
        self.code = self.process.wait()
        self.ended = time.monotonic()
        self._signal_all(signal.SIGKILL)

    def interrupt(self) -> None:
        """Ask it to end as a key would."""
        if self.running:
            assert self.process is not None
            self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it, and what runs in its session, at once."""
        if self.running:
            self._signal_all(signal.SIGKILL)

    @property
    def running(self) -> bool:
        """Tell whether it has begun and not ended."""
        return self.process is not None and self.code is None

    def _signal_all(self, sent: signal.Signals) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, sent)

    def said(self) -> str:
        """Return what it has printed."""
        return self.output.read_text(errors="replace") if self.output else ""

    def so_far(self) -> Counter[str]:
        """Return how many tests of a running pytest have passed and failed."""
        marks = Counter("".join(_PROGRESS.findall(self._with_last_line())))
        failed = marks["F"] + marks["E"]
        return Counter(passed=marks.total() - failed, failed=failed)

    def failed_tests(self) -> list[str]:
        """Return the names by which pytest takes the tests that failed."""
        return list(dict.fromkeys(_FAILED.findall(self.said()))) if self.pytest else []

    def _with_last_line(self) -> str:
        text = self.said()
        return text if text.endswith("\n") else f"{text}\n"

    def counts(self) -> Counter[str]:
        """Return its tests by `passed`, `failed`, `skipped`; a crash is a failure, and so are no tests."""
        counted: Counter[str] = Counter()
        if self.pytest:
            for line in _CLOSING.findall(self.said())[-1:]:
                for number, word in re.findall(r"(\d+) ([a-z]+)", line):
                    if word in _KINDS:
                        counted[_KINDS[word]] += int(number)
        if (self.code != 0 or (self.pytest and not counted.total())) and not counted["failed"]:
            counted["failed"] = 1
        return counted


@dataclass
class Lanes:
    """What runs and has run, in the order of its start."""

    root: Path
    folder: Path
    environment: Mapping[str, str]
    started: list[Lane] = field(default_factory=list)
    interrupted: bool = False

    def run(self, *lanes: Lane) -> bool:
        """Run these side by side; tell whether all ended well. Nothing begins after an interruption."""
        if self.interrupted:
            return False
        for lane in lanes:
            lane.start(self.folder, self.root, self.environment)
            self.started.append(lane)
        if self.interrupted:  # just now: `interrupt` may not have seen them
            self._ask()
        for lane in lanes:
            lane.wait()
        return all(lane.code == 0 for lane in lanes)

    def unsteady(self) -> dict[str, list[str]]:
        """Return the tests, by group, that failed and passed when they were run again."""
        found: dict[str, list[str]] = {}
        for lane in self.started:
            if lane.again_of is not None and lane.code == 0:
                found.setdefault(lane.group, []).extend(lane.again_of.failed_tests())
        return found

    def interrupt(self) -> None:
        """Ask all that runs to end, and see to it."""
        self.interrupted = True
        self._ask()
        until = time.monotonic() + _PATIENCE_S
        try:
            while any(lane.running for lane in self.started) and time.monotonic() < until:
                time.sleep(0.1)
        finally:  # also when the key is pressed again
            for lane in self.started:
                lane.kill()

    def _ask(self) -> None:
        for lane in self.started:
            lane.interrupt()
