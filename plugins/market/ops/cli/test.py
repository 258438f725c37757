"""`./market test [GROUP ...]`: checkers, then pytest, whose closing line is the last.

The groups that need a running stack wait for it most of the time; the checkers and those that need none run
beside them, at a lower priority.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import BinaryIO

from market.kit import settings
from market.ops.install import setup
from market.ops.python_path import python_path

_QUICK = ("unit", "database")
_WAITING = ("cluster", "browser")
GROUPS = _QUICK + _WAITING
_NICE = 10
_LOOK_S = 0.2


def run(paths: settings.Paths, groups: list[str]) -> int:
    """Run the groups (default: all); return 0 only when everything passed."""
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        print(f"market: no test group {unknown[0]}; there are: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    chosen = groups or list(GROUPS)
    setup.run(paths, for_tests=True)
    quick, waiting = ([group for group in kind if group in chosen] for kind in (_QUICK, _WAITING))
    passed = _side_by_side(paths, quick, waiting) if quick and waiting else _passed(paths, chosen)
    return 0 if passed else 1


def _passed(paths: settings.Paths, groups: list[str], nice: int = 0) -> bool:
    """Run the checkers, where the unit tests are among the groups, and pytest."""
    commands = [_pytest(paths, groups)]
    if "unit" in groups:
        programs = paths.airflow_env / "bin"
        checkers = (
            ["ruff", "check"],
            ["ruff", "format", "--check"],
            ["mypy"],
            ["lint-imports", "--no-logo", "--no-cache"],
        )
        commands = [[str(programs / name), *words] for name, *words in checkers] + commands
    passed = True
    for command in commands:
        print(f"$ {' '.join([command[0].rsplit('/', 1)[-1], *command[1:]])}", flush=True)
        done = subprocess.run(["nice", "-n", str(nice), *command], cwd=paths.root, env=_environment(paths))
        passed = passed and done.returncode == 0
    return passed


def _side_by_side(paths: settings.Paths, quick: list[str], waiting: list[str]) -> bool:
    """Run both parts at once; show the quick one as it goes, then the other one from its beginning."""
    with tempfile.NamedTemporaryFile() as output:
        print(f"{', '.join(quick)}; {', '.join(waiting)} meanwhile, shown after it", flush=True)
        beside = subprocess.Popen(
            _pytest(paths, waiting),
            cwd=paths.root,
            env=_environment(paths),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        try:
            passed = _passed(paths, quick, _NICE)
            with open(output.name, "rb") as shown:
                while beside.poll() is None:
                    _show(shown)
                    time.sleep(_LOOK_S)
                _show(shown)
        except KeyboardInterrupt:
            beside.wait()  # it was interrupted as well, and stops what it has started
            raise
    if not passed:
        print(f"market: {', '.join(quick)} failed, see above", file=sys.stderr)
    return passed and beside.returncode == 0


def _show(file: BinaryIO) -> None:
    sys.stdout.buffer.write(file.read())
    sys.stdout.buffer.flush()


def _pytest(paths: settings.Paths, groups: list[str]) -> list[str]:
    marks = " or ".join(groups)
    cache = f"cache_dir=.pytest_cache/{groups[0]}"  # two may run at once
    return [str(paths.airflow_env / "bin" / "pytest"), "-q", "-m", marks, "-o", cache]


def _environment(paths: settings.Paths) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": python_path(paths.root)}
