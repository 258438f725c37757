"""`./market lock`: exact locks, one for each environment, of what its requirements name."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from distributedmarket.runtime.release import LOCK
from market.kit import settings
from market.ops.install import setup

# Lock -> what it is made from, and what else it must agree with.
_LOCKS = {
    "requirements.txt": ["requirements.in"],
    "requirements-test.txt": ["requirements-test.in"],
    "requirements-agent.txt": ["client/pyproject.toml", "-c", "requirements.txt"],
}
_RUNTIME_LOCKS = {LOCK.name: [LOCK.with_suffix(".in").name]}


def run(paths: settings.Paths) -> int:
    """Resolve each into its lock; return the exit code."""
    setup.run(paths)
    done = _make(paths, paths.root, _LOCKS) and _make(paths, LOCK.parent, _RUNTIME_LOCKS)
    return 0 if done else 1


def _make(paths: settings.Paths, folder: Path, locks: Mapping[str, Sequence[str]]) -> bool:
    """Make the locks of a folder; names are relative to it, since a lock names what it was made from."""
    words = [
        str(paths.tools / "bin" / "uv"),
        "pip",
        "compile",
        "-q",
        "--no-header",
        "--python-version",
        "3.11",
    ]
    environment = {**os.environ, "UV_CACHE_DIR": str(paths.installs / "uv-cache")}
    for lock, sources in locks.items():
        if subprocess.run([*words, *sources, "-o", lock], cwd=folder, env=environment).returncode:
            return False
    return True
