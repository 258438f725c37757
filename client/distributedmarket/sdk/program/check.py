"""What can be told about a program before anything is paid."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from distributedmarket.runtime.release import LOCK
from distributedmarket.sdk.program.bundle import REQUIREMENTS, Program

# What packages are called in a program, where it is not as in the index.
_CALLED: Mapping[str, tuple[str, ...]] = {
    "beautifulsoup4": ("bs4",),
    "fonttools": ("fontTools",),
    "matplotlib": ("matplotlib", "mpl_toolkits", "pylab"),
    "opencv_python": ("cv2",),
    "opencv_python_headless": ("cv2",),
    "pillow": ("PIL",),
    "python_dateutil": ("dateutil",),
    "pyyaml": ("yaml",),
    "scikit_learn": ("sklearn",),
    "xgboost_cpu": ("xgboost",),
}
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
# Brought along by the market beside the packages of its list.
_OF_THE_MARKET = frozenset({"pyspark", "py4j"})


@dataclass(frozen=True)
class Finding:
    """Something to know about a line of a file; `fatal`: the job would fail."""

    place: str
    words: str
    fatal: bool


def check(program: Program, job: Mapping[str, Any]) -> list[Finding]:
    """Return what is wrong with a program that is to run with these fields of a job; the worst first."""
    found = []
    for path, read in program.sources.items():
        found += [Finding(f"{path}:{line}", words, True) for line, words in read.problems]
        for line, master in read.masters:
            words = f'master("{master}") changes nothing in a market: it runs on the cores of the job'
            found.append(Finding(f"{path}:{line}", words, False))
    if not job.get("python_env"):
        found += _missing(program, job)
    return sorted(found, key=lambda one: not one.fatal)


def _missing(program: Program, job: Mapping[str, Any]) -> Iterable[Finding]:
    """Yield the modules that are nowhere: where something may bring them, they are only doubtful."""
    asked = _asked(program, job)
    brought = bool(asked) or bool(job.get("libs")) or bool(job.get("archives"))
    there = (
        set(sys.stdlib_module_names) | runtime_modules() | {name for one in asked for name in modules(one)}
    )
    for module, (path, line, guarded) in sorted(program.missing.items()):
        if guarded or module in there:
            continue
        words = f"imports {module}, which is neither in the folder, nor Python's, nor the market's"
        words += ", nor is a requirement called so" if brought else f": name it in {REQUIREMENTS}"
        yield Finding(f"{path}:{line}", words, not brought)


def _asked(program: Program, job: Mapping[str, Any]) -> list[str]:
    """Return the packages that a job asks for: its own list, else that of the file beside its program."""
    lines = job.get("requirements")
    if lines is None:
        file = program.files.get(REQUIREMENTS)
        lines = file.read_text(errors="replace").splitlines() if file else []
    return [match.group(1) for line in lines if (match := _NAME.match(line))]


def runtime_modules() -> set[str]:
    """Return what programs can import of the market's own packages."""
    lines = LOCK.read_text().splitlines()
    packages = [line.partition("==")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))]
    return {name for package in packages for name in modules(package)} | _OF_THE_MARKET


def modules(package: str) -> tuple[str, ...]:
    """Return what a package is called in a program."""
    name = re.sub(r"[-._]+", "_", package).lower()
    return _CALLED.get(name, (name, package.replace("-", "_")))
