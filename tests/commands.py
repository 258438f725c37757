"""`./market` for tests."""

from __future__ import annotations

import os
import subprocess
import sys

from market.kit import settings
from market.ops.python_path import python_path


def market(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command of `./market`; raise with its output if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "market.ops.cli", *arguments],
        cwd=settings.ROOT,
        env={**os.environ, "PYTHONPATH": python_path(settings.ROOT)},
        capture_output=True,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    if done.returncode:
        raise RuntimeError(f"./market {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done
