"""From the launcher's Python, which has no packages, into the environment that setup has made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from distributedmarket.errors import SetupError
from distributedmarket.runtime import aside


def enter(environment: Path) -> None:
    """Go on with the same command in a Python environment; returns only when already there.

    In the folder itself, not by the link to it: the command keeps it when the next one is put in its place.
    """
    folder = aside.real(environment)
    python = folder / "bin" / "python"
    if sys.prefix in (str(environment), str(folder)):
        return
    if not python.exists():
        raise SetupError("nothing is set up yet: run ./market setup (or ./market demo)")
    os.execv(python, [str(python), "-m", "market.ops.cli", *sys.argv[1:]])  # noqa: S606
