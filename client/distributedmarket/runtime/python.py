"""Python environments: made by uv from exact locks."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from distributedmarket.runtime.places import Places
from distributedmarket.runtime.shell import command
from distributedmarket.runtime.steps import Step

UV = "uv==0.13.9"


def tools_step(places: Places) -> Step:
    """Return the step that installs the installer. What else was in its environment is gone after it."""
    return Step(
        "tools",
        "the installer",
        lambda: [UV.encode()],
        lambda: _tools(places),
        undoes=("supervisor",),
        about_s=10,
        mib=70,
    )


def add_tool(places: Places, package: str) -> None:
    """Install a package into the installer's environment."""
    command([str(places.tools / "bin" / "pip"), "install", package], f"pip install {package}")


def environment(places: Places, target: Path, locks: Sequence[Path]) -> None:
    """Have an environment hold exactly what locks name; make it if there is none. Raises SetupError."""
    uv = str(places.tools / "bin" / "uv")
    # Linked from a cache elsewhere, a package would change with the cache; copies stay inside the folder.
    variables = {**os.environ, "UV_CACHE_DIR": str(places.cache), "UV_NO_CONFIG": "1"}
    if not (target / "bin" / "python").exists():
        # The system's own, also when this runs in an environment that setup has made before.
        python = os.path.realpath(sys.executable)
        command([uv, "venv", "--clear", "--python", python, str(target)], "uv venv", env=variables)
    arguments = [uv, "pip", "sync", "--python", str(target / "bin" / "python"), *map(str, locks)]
    command(arguments, "uv pip sync", env=variables)


def _tools(places: Places) -> None:
    command([sys.executable, "-m", "venv", "--clear", str(places.tools)], "python3 -m venv")
    add_tool(places, UV)
