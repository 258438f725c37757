"""What lets the market alone look at Spark's History Server: how it is compiled. Standard library only."""

from __future__ import annotations

from pathlib import Path

from market.kit.settings import ROOT, Paths
from market.ops.install import javac

FILTER = "distributedmarket.history.TicketFilter"
_JAVA = ROOT / "java"


def jar(paths: Paths) -> Path:
    """Return where the compiled filter lies."""
    return paths.installs / "history.jar"


def sources() -> list[Path]:
    """Return the files of its source; how tickets are read is the same as in Hadoop's servers."""
    return [*sorted((_JAVA / "history").glob("*.java")), _JAVA / "hadoop" / "Ticket.java"]


def build(paths: Paths) -> None:
    """Compile it against the runtime's Spark. Raises SetupError."""
    javac.jar(sources(), f"{paths.runtime}/jars/*", jar(paths))
