"""What there is of a type of machines now: the words in which machines tell jobs of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """A machine that takes work: what it has, and what of it no container holds. Memory in MiB."""

    cores: int
    memory_mib: int
    free_cores: int
    free_mib: int


@dataclass(frozen=True)
class Supply:
    """The machines of a type. `last_ms` is when one was last online, epoch ms; None: never."""

    active: tuple[Room, ...] = ()
    joining: int = 0
    draining: int = 0
    resting: int = 0
    last_ms: int | None = None

    @property
    def cores(self) -> int:
        """The cores of those that take work."""
        return sum(room.cores for room in self.active)

    @property
    def free_cores(self) -> int:
        """The cores among them that no container holds."""
        return sum(room.free_cores for room in self.active)

    def holds(self, cores: int, memory_mib: int) -> bool:
        """Tell whether any of them is large enough for a container of this size."""
        return any(room.cores >= cores and room.memory_mib >= memory_mib for room in self.active)

    def has_room(self, cores: int, memory_mib: int) -> bool:
        """Tell whether any of them could start a container of this size now."""
        return any(room.free_cores >= cores and room.free_mib >= memory_mib for room in self.active)
