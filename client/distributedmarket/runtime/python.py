"""Python environments: made by uv from exact locks."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from distributedmarket.runtime import aside
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


def environment(places: Places, link: Path, locks: Sequence[Path]) -> Path:
    """Have an environment beside the one that `link` names hold exactly what locks name; return its folder.

    `aside.use` is to follow, when all that belongs into it is there. Raises SetupError.
    """
    aside.refuse_in_use(link)
    target = aside.place(places.installs, link.name, [lock.read_bytes() for lock in locks])
    uv = str(places.tools / "bin" / "uv")
    # Linked from a cache elsewhere, a package would change with the cache; copies stay inside the folder.
    variables = {**os.environ, "UV_CACHE_DIR": str(places.cache), "UV_NO_CONFIG": "1"}
    if not (target / "bin" / "python").exists():
        # The system's own, also when this runs in an environment that setup has made before.
        python = os.path.realpath(sys.executable)
        target.parent.mkdir(exist_ok=True)
        command([uv, "venv", "--clear", "--python", python, str(target)], "uv venv", env=variables)
    arguments = [uv, "pip", "sync", "--python", str(target / "bin" / "python"), *map(str, locks)]
    command(arguments, "uv pip sync", env=variables)
    return target


def _tools(places: Places) -> None:
    aside.refuse_in_use(places.tools)
    target = aside.place(places.installs, places.tools.name, [UV.encode()])
    target.parent.mkdir(exist_ok=True)
    command([sys.executable, "-m", "venv", str(target)], "python3 -m venv")
    command([str(target / "bin" / "pip"), "install", UV], f"pip install {UV}")
    aside.use(places.tools, target)
