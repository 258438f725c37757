"""Every test belongs to one group: that of its mark, else `unit`. The stack is started once for all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from market import settings

GROUPS = {"database", "cluster", "browser"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not GROUPS & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.unit)


@pytest.fixture(scope="session")
def stack() -> Iterator[settings.Settings]:
    """Serve the whole stack, new and empty, and stop it in the end.

    With MARKET_TEST_STACK naming the state folder of a running stack, that one is used and left running.
    """
    given = os.environ.get("MARKET_TEST_STACK")
    state = Path(given or settings.ROOT / ".market" / "test-stack").absolute()
    os.environ["MARKET_STATE_DIR"] = str(state)
    if given:
        yield settings.load(state)
        return
    market("down", "--force")
    shutil.rmtree(state, ignore_errors=True)
    try:
        market("up")
        yield settings.load(state)
    finally:
        market("down", "--force")


def market(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command of `./market`; raise with its output if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "market.cli", *arguments],
        cwd=settings.ROOT,
        env={**os.environ, "PYTHONPATH": str(settings.ROOT / "plugins")},
        capture_output=True,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    if done.returncode:
        raise RuntimeError(f"./market {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done
