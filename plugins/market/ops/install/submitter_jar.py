"""The warm submitter's program: how it is compiled. Standard library only, as all that setup runs."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from distributedmarket.runtime.shell import command
from market.kit.settings import ROOT, Paths

SOURCES = ROOT / "java" / "submitter"


def jar(paths: Paths) -> Path:
    """Return where the compiled submitter lies."""
    return paths.installs / "submitter.jar"


def sources() -> list[Path]:
    """Return the files of its source."""
    return sorted(SOURCES.glob("*.java"))


def build(paths: Paths) -> None:
    """Compile it against the runtime's Spark. Raises SetupError."""
    classes = paths.installs / "submitter.new"
    shutil.rmtree(classes, ignore_errors=True)
    classes.mkdir()
    words = ["javac", "--release", "17", "-Xlint:all,-path", "-cp", f"{paths.runtime}/jars/*"]
    command([*words, "-d", str(classes), *map(str, sources())], "javac")
    fresh = jar(paths).with_suffix(".jar.new")
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(classes.rglob("*.class")):
            archive.write(path, path.relative_to(classes))
    fresh.rename(jar(paths))
    shutil.rmtree(classes)
