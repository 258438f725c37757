"""`./market lock`: exact locks from what is asked for."""

from __future__ import annotations

import os
import subprocess

from market.kit import settings
from market.ops.install import setup

LOCKS = ("requirements", "requirements-test", "requirements-agent", "requirements-runtime")


def run(paths: settings.Paths) -> int:
    """Resolve each `<name>.in` into `<name>.txt`; return the exit code."""
    setup.run(paths)
    for name in LOCKS:
        arguments = [
            str(paths.tools / "bin" / "uv"),
            "pip",
            "compile",
            "-q",
            "--no-header",
            "--python-version",
            "3.11",
        ]
        arguments += [f"{name}.in", "-o", f"{name}.txt"]
        environment = {**os.environ, "UV_CACHE_DIR": str(paths.installs / "uv-cache")}
        done = subprocess.run(arguments, cwd=paths.root, env=environment)
        if done.returncode:
            return 1
    return 0
