"""The client as one file, which the market gives to who wants to lend or run jobs: how it is made.

Standard library only, as all that setup runs.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from distributedmarket.runtime.shell import command
from market.kit.settings import ROOT, Paths

SOURCE = ROOT / "client"
_KINDS = (".py", ".toml", ".md", ".txt", ".in", ".xml")


def sources() -> list[Path]:
    """Return the files that it is made of."""
    return sorted(path for path in SOURCE.rglob("*") if path.suffix in _KINDS)


def lacking(paths: Paths) -> bool:
    """Tell whether there is none."""
    return not any(paths.client_package.glob("*.whl"))


def build(paths: Paths) -> None:
    """Build the wheel: the same files give the same bytes. Raises SetupError."""
    fresh = paths.client_package.with_name("client-package.new")
    shutil.rmtree(fresh, ignore_errors=True)
    words = [str(paths.tools / "bin" / "uv"), "build", "--wheel", "--out-dir", str(fresh), str(SOURCE)]
    variables = {"UV_CACHE_DIR": str(paths.installs / "uv-cache"), "UV_NO_CONFIG": "1"}
    command(words, "uv build", env={**os.environ, **variables})
    shutil.rmtree(paths.client_package, ignore_errors=True)
    fresh.rename(paths.client_package)
