"""The warm submitter's program: how it is compiled. Standard library only, as all that setup runs."""

from __future__ import annotations

from pathlib import Path

from market.kit.settings import ROOT, Paths
from market.ops.install import javac

SOURCES = ROOT / "java" / "submitter"


def jar(paths: Paths) -> Path:
    """Return where the compiled submitter lies."""
    return paths.installs / "submitter.jar"


def sources() -> list[Path]:
    """Return the files of its source."""
    return sorted(SOURCES.glob("*.java"))


def build(paths: Paths) -> None:
    """Compile it against the runtime's Spark. Raises SetupError."""
    javac.jar(sources(), f"{paths.runtime}/jars/*", jar(paths))
