"""Which process belongs to which machine of this host: the machine's folder stands in its environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

VARIABLE = "MARKET_MACHINE"
# The state folder of the stack that a process belongs to: `./market down` ends all of them.
STACK_VARIABLE = "MARKET_STACK"


def processes() -> Iterator[tuple[int, str]]:
    """Yield each process of a machine that may be seen, with the machine's folder."""
    begin = f"{VARIABLE}=".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # ended meanwhile, or another user's
        for variable in variables:
            if variable.startswith(begin):
                yield int(entry.name), variable.removeprefix(begin).decode(errors="replace")


def of(folder: Path) -> Iterator[int]:
    """Yield the processes of one machine."""
    return (pid for pid, tagged in processes() if tagged == str(folder))
