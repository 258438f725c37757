"""How the market's own Java is compiled. Standard library only, as all that setup runs."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

from distributedmarket.runtime.shell import command


def classes(sources: Iterable[Path], class_path: str, target: Path) -> list[Path]:
    """Compile sources into a folder, which holds nothing else then; return the files. Raises SetupError."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    words = ["javac", "--release", "17", "-Xlint:all,-path", "-cp", class_path, "-d", str(target)]
    command([*words, *map(str, sources)], "javac")
    return sorted(target.rglob("*.class"))


def jar(sources: Iterable[Path], class_path: str, target: Path) -> None:
    """Compile sources into a jar, which comes into its place whole. Raises SetupError."""
    folder, fresh = target.with_suffix(".new"), target.with_suffix(".jar.new")
    made = classes(sources, class_path, folder)
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in made:
            archive.write(path, path.relative_to(folder))
    fresh.rename(target)
    shutil.rmtree(folder)
