"""What runs where: rooms below airflow/ without Airflow, the launcher without any package."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys

import pytest

import market
from market.kit import settings
from market.ops.python_path import python_path

BELOW_AIRFLOW = (
    "kit",
    "cluster",
    "hadoop",
    "credits",
    "people",
    "metering",
    "machines",
    "jobs",
    "administration",
)
# `None` makes each import of Airflow fail, as if it were not installed.
WITHOUT = (
    "import importlib, sys; sys.modules['airflow'] = None;"
    " [importlib.import_module(name) for name in sys.argv[1:]]"
)


def modules(room: str) -> list[str]:
    """Return a room's modules, but the programs that others run by their path."""
    packages = pkgutil.walk_packages([f"{market.__path__[0]}/{room}"], f"market.{room}.")
    return [f"market.{room}", *(found.name for found in packages)]


@pytest.mark.parametrize("room", BELOW_AIRFLOW)
def test_a_room_below_airflow_runs_without_it(room: str) -> None:
    found = modules(room)
    assert len(found) > 3
    run(sys.executable, "-c", WITHOUT, *found)


def test_the_launcher_needs_nothing_but_python() -> None:
    """`./market setup` runs where nothing is installed."""
    run(sys.executable, "-S", "-c", "import market.ops.cli.__main__")


def run(*command: str) -> None:
    variables = {**os.environ, "PYTHONPATH": python_path(settings.ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=120)
    assert done.returncode == 0, done.stderr
