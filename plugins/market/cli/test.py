"""`./market test [GROUP ...]`: checkers, then pytest, whose closing line is the last.

The groups that need a running stack wait for it most of the time; those that do not run beside them, at a
lower priority.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import BinaryIO

from market import settings
from market.stack import setup

_QUICK = ("unit", "database")
_WAITING = ("cluster", "browser")
GROUPS = _QUICK + _WAITING
_NICE = 5
_LOOK_S = 0.2


def run(paths: settings.Paths, groups: list[str]) -> int:
    """Run the groups (default: all); return 0 only when everything passed."""
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        print(f"market: no test group {unknown[0]}; there are: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    chosen = groups or list(GROUPS)
    setup.run(paths, for_tests=True)
    failed = "unit" in chosen and not _checked(paths)
    parts = [[group for group in kind if group in chosen] for kind in (_QUICK, _WAITING)]
    if all(parts):
        passed = _side_by_side(paths, *parts)
    else:
        done = subprocess.run(_pytest(paths, chosen), cwd=paths.root, env=_environment(paths))
        passed = done.returncode == 0
    return 1 if failed or not passed else 0


def _checked(paths: settings.Paths) -> bool:
    passed = True
    for checker in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        print(f"$ {' '.join(checker)}", flush=True)
        command = [str(paths.airflow_env / "bin" / checker[0]), *checker[1:]]
        done = subprocess.run(command, cwd=paths.root, env=_environment(paths))
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
            first = subprocess.run(
                ["nice", "-n", str(_NICE), *_pytest(paths, quick)], cwd=paths.root, env=_environment(paths)
            )
            with open(output.name, "rb") as shown:
                while beside.poll() is None:
                    _show(shown)
                    time.sleep(_LOOK_S)
                _show(shown)
        except KeyboardInterrupt:
            beside.wait()  # it was interrupted as well, and stops what it has started
            raise
    if first.returncode:
        print(f"market: {', '.join(quick)} failed, see above", file=sys.stderr)
    return first.returncode == 0 and beside.returncode == 0


def _show(file: BinaryIO) -> None:
    sys.stdout.buffer.write(file.read())
    sys.stdout.buffer.flush()


def _pytest(paths: settings.Paths, groups: list[str]) -> list[str]:
    marks = " or ".join(groups)
    cache = f"cache_dir=.pytest_cache/{groups[0]}"  # two may run at once
    return [str(paths.airflow_env / "bin" / "pytest"), "-q", "-m", marks, "-o", cache]


def _environment(paths: settings.Paths) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(paths.root / "plugins")}
