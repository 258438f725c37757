"""Every measurement starts as its first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from market.kit import settings

pytestmark = pytest.mark.unit

_FOLDER = settings.ROOT / "bench"
_COMMANDS = sorted(path for path in _FOLDER.glob("*.py") if "argparse" in path.read_text())


def test_there_are_measurements() -> None:
    assert "ledger" in {path.stem for path in _COMMANDS}


@pytest.mark.parametrize("path", _COMMANDS, ids=lambda path: path.stem)
def test_a_measurement_finds_what_it_measures(path: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(path), "--help"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
