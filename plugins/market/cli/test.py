"""`./market test [GROUP ...]`: checkers, then pytest, whose closing line is the last."""

from __future__ import annotations

import os
import subprocess
import sys

from market import settings
from market.stack import setup

GROUPS = ("unit", "database", "cluster", "browser")


def run(paths: settings.Paths, groups: list[str]) -> int:
    """Run the groups (default: all); return 0 only when everything passed."""
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        print(f"market: no test group {unknown[0]}; there are: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    chosen = groups or list(GROUPS)
    setup.run(paths, for_tests=True)
    programs = paths.airflow_env / "bin"
    environment = {**os.environ, "PYTHONPATH": str(paths.root / "plugins")}
    failed = False
    if "unit" in chosen:
        for checker in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
            print(f"$ {' '.join(checker)}", flush=True)
            done = subprocess.run([str(programs / checker[0]), *checker[1:]], cwd=paths.root, env=environment)
            failed = failed or done.returncode != 0
    marks = " or ".join(chosen)
    tests = subprocess.run([str(programs / "pytest"), "-q", "-m", marks], cwd=paths.root, env=environment)
    return 1 if failed or tests.returncode else 0
