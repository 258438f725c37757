"""Agents that lend machines, started by tests as people start them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from people import Person, until

from distributedmarket.agent import process_tags


def nodemanager(name: str) -> int:
    """Return the process of a machine's NodeManager."""
    found = [
        pid
        for pid, folder in process_tags.processes()
        if folder.endswith(f"/machines/{name}")
        and (words := command_line(pid))[0].endswith("java")
        and words[-1].endswith("server.nodemanager.NodeManager")
    ]
    assert len(found) == 1, f"{name} has NodeManagers {found}"
    return found[0]


def command_line(pid: int) -> list[str]:
    """Return a process's words; one empty word if it has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return [""]


def of_application(application_id: str) -> list[int]:
    """Return the processes of an application's containers on this host: YARN puts their id beside them.

    In their variables, or in the command where those of another account cannot be read.
    """
    # After a restart of the ResourceManager a container's id has its epoch before these: container_e02_...
    container = f"_{application_id.removeprefix('application_')}_".encode()
    marks = {"environ": container, "cmdline": container}
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        for name, mark in marks.items():
            with suppress(OSError):
                if mark in (entry / name).read_bytes():
                    found.append(int(entry.name))
                    break
    return found


@dataclass
class Agent:
    """A running `./market share`, with what it prints."""

    process: subprocess.Popen[bytes]
    log: Path
    owner: Person
    name: str

    @classmethod
    def start(
        cls,
        command: list[str],
        name: str,
        owner: Person,
        log: Path,
        environment: Mapping[str, str],
        **options: Any,
    ) -> Agent:
        """Start `command`, which ends where the options of `share` begin."""
        with log.open("ab") as out:
            process = subprocess.Popen(
                [*command, "--name", name, "--username", owner.username],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                **options,
            )
        return cls(process, log, owner, name)

    def record(self) -> dict[str, Any]:
        """Return what the market says of the machine."""
        machines = self.owner.rest.get("/machines", limit=200)["machines"]
        return next((one for one in machines if one["display_name"] == self.name), {})

    def wait(self, state: str, deadline_s: float = 180) -> dict[str, Any]:
        """Return the machine's record when it has come into a state."""

        def there() -> dict[str, Any] | None:
            found = self.record()
            if found.get("availability") == state:
                return found
            assert self.process.poll() != 1, f"the agent failed: {self.said()[-3000:]}"
            return None

        try:
            found = until(there, f"{self.name} {state}", deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error} (its agent says: {self.said()[-3000:]})") from None
        assert found is not None
        return found

    def said(self) -> str:
        """Return what it has printed."""
        return self.log.read_text()

    def left_behind(self) -> list[int]:
        """Return the processes of this machine."""
        return [pid for pid, folder in process_tags.processes() if folder.endswith(f"/machines/{self.name}")]

    def processors(self) -> int:
        """Return how many of this host's processors its processes may use in all."""
        return len(set().union(*map(os.sched_getaffinity, self.left_behind())))

    def kill_nodemanager(self) -> None:
        """Kill its NodeManager without notice."""
        os.kill(nodemanager(self.name), signal.SIGKILL)

    def die(self) -> None:
        """Kill both, as a power cut does: the death of the agent alone may leave time for a goodbye."""
        self.kill_nodemanager()
        self.process.kill()

    def interrupt(self) -> None:
        """Ask it to end: the first time it drains, the second time it stops at once."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Have it stop at once, and wait for that."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
        self.process.wait(60)
