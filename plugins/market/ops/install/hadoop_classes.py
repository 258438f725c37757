"""The market's own classes for Hadoop's servers: how they are compiled. Standard library only."""

from __future__ import annotations

import shutil
from pathlib import Path

from market.kit.settings import ROOT, Paths
from market.ops.install import javac

SOURCES = ROOT / "java" / "hadoop"


def sources() -> list[Path]:
    """Return the files of their source."""
    return sorted(SOURCES.glob("*.java"))


def lacking(paths: Paths) -> bool:
    """Tell whether there are none, as after another Hadoop was put in place."""
    return not any(paths.hadoop_classes.rglob("*.class"))


def build(paths: Paths) -> None:
    """Compile them into the folder that stands first in the class path of Hadoop's servers.

    They come file by file into the place of earlier ones: servers that run may load one at any time. Raises
    SetupError.
    """
    fresh, target = paths.installs / "hadoop-classes.new", paths.hadoop_classes
    made = javac.classes(sources(), f"{paths.hadoop}/jars/*", fresh)
    names = [path.relative_to(fresh) for path in made]
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (fresh / name).replace(target / name)
    for path in target.rglob("*.class"):
        if path.relative_to(target) not in names:
            path.unlink()
    shutil.rmtree(fresh)
