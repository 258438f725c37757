"""The folder of a machine: who holds it, and which registration was made from it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import IO, Any

from distributedmarket.agent.offer import Offer
from distributedmarket.errors import SetupError
from distributedmarket.runtime.places import Places


@dataclass(frozen=True)
class Registration:
    """A machine that was registered from a folder, with what was offered then."""

    machine_id: str
    offer: dict[str, Any]


class MachineFolder:
    """A folder that this process holds until `release`."""

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self.path = path
        self._lock = lock
        self._note = path / "machine.json"

    @property
    def name(self) -> str:
        """The machine's name on this host."""
        return self.path.name

    def registration(self) -> Registration | None:
        """Return the registration of an agent that ended without leaving; None if there is none."""
        try:
            note = json.loads(self._note.read_text())
            return Registration(str(note["machine_id"]), dict(note["offer"]))
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None

    def remember(self, offer: Offer, machine_id: str) -> None:
        """Write a registration down."""
        fresh = self._note.with_suffix(".json.new")
        fresh.write_text(json.dumps({"machine_id": machine_id, "offer": asdict(offer)}) + "\n")
        fresh.rename(self._note)

    def forget(self) -> None:
        """Forget the registration: its machine has left."""
        self._note.unlink(missing_ok=True)

    def release(self) -> None:
        """Let another process hold it."""
        self._lock.close()


def claim(places: Places, name: str, exactly: bool) -> MachineFolder:
    """Hold the folder of a machine of this host.

    Unless it must be `exactly` this name, it gets a number if another process has it. Raises SetupError.
    """
    parent = places.machines
    for number in range(1, 100):
        path = parent / (name if number == 1 else f"{name}-{number}")
        for part in (parent, path):
            part.mkdir(mode=0o711, parents=True, exist_ok=True)
            part.chmod(0o711)
        lock = (path / "lock").open("w")
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except OSError:
            lock.close()
            if exactly:
                break
            continue
        return MachineFolder(path, lock)
    raise SetupError(f"an agent lends a machine called {name} here already: choose another --name")
