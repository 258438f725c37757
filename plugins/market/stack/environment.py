"""From the launcher's Python, which has no packages, into the environment that setup has made."""

from __future__ import annotations

import os
import sys

from market.settings import Paths
from market.stack.shell import SetupError


def enter(paths: Paths) -> None:
    """Go on with the same command in Airflow's environment; returns only when already there."""
    python = paths.airflow_env / "bin" / "python"
    if sys.prefix == str(paths.airflow_env):
        return
    if not python.exists():
        raise SetupError("nothing is set up yet: run ./market setup (or ./market demo)")
    os.execv(python, [str(python), "-m", "market.cli", *sys.argv[1:]])  # noqa: S606
