"""An account of its own for each container, out of a range of numbers that this host has no names for.

The files stay those of the NodeManager's account on the disk: the kernel shows them as the container's own
through mounts that map owners (Linux 5.12), so that nothing changes for YARN. Whatever the container reaches
beside them it reaches as an account that nothing belongs to. Only root may map an account to another one:
the container asks its guard, which sends what is mounted. Standard library only.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from distributedmarket.agent import mounts, view


@dataclass(frozen=True)
class Range:
    """Numbers from `first` to `last`, for users and groups alike."""

    first: int
    last: int

    @classmethod
    def read(cls, text: str) -> Range:
        """Return the range that FIRST-LAST means. Raises ValueError."""
        first, _, last = text.partition("-")
        found = cls(int(first), int(last))
        if not 0 < found.first <= found.last < 1 << 31:
            raise ValueError("no account has such a number")
        return found

    def free(self, used: Collection[int]) -> int:
        """Return a number by chance that none of these is. Machines of one host draw from the same range.

        Raises ValueError if none is left.
        """
        size = self.last - self.first + 1
        for _ in range(1000):
            number = self.first + secrets.randbelow(size)
            if number not in used:
                return number
        raise ValueError("no account is left in the range")

    def __str__(self) -> str:
        """Return it as it is read."""
        return f"{self.first}-{self.last}"


# Free by the conventions of systemd (UIDS-GIDS.md): above all containers', below 2^31.
UNUSED = Range(1879048192, 2147483647)


def give(asking: socket.socket, pid: int, work: Path, inner: tuple[int, int], number: int) -> None:
    """Map the account `inner` (user, group) of a process that asks to a number, and send it its folders.

    Raises OSError or ValueError.
    """
    container = Path(os.readlink(f"/proc/{pid}/cwd"))
    for name, own in zip(("gid_map", "uid_map"), reversed(inner), strict=True):
        Path(f"/proc/{pid}/{name}").write_text(f"{own} {number} 1")
    space = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    trees: dict[Path, int] = {}
    try:
        trees = view.own_trees(work, container)
        for descriptor in trees.values():
            mounts.map_owners(descriptor, space)
        words = b"\0".join(os.fsencode(folder) for folder in trees)
        socket.send_fds(asking, [words], list(trees.values()))
    finally:
        for descriptor in (space, *trees.values()):
            os.close(descriptor)
