"""The release: what must be equal on all machines of a market, so that drivers and executors fit together.

Everything that decides lies in this folder: the lock of the jobs' Python with Spark in it, and the versions
of Hadoop's jars. The version of Python counts as well: PySpark refuses another one in an executor than in
the driver. Java does not: 17 and 21 work together.
"""

from __future__ import annotations

import hashlib
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).with_name("requirements-runtime.txt")
POM = Path(__file__).with_name("pom.xml")


@dataclass(frozen=True)
class Release:
    """The digest (SHA-256) of what a machine runs jobs with, and its Python as 3.11."""

    runtime: str
    python: str


def current(runtime: Path) -> Release:
    """Return the release of the jobs' runtime in a folder, or of the one that would be made there."""
    return Release(digest(), _python(runtime))


def digest() -> str:
    """Return the digest of the files that decide; their comments and white space do not."""
    lines = (line.partition("#")[0].strip() for line in LOCK.read_text().splitlines())
    pins = "\n".join(sorted(line for line in lines if line))
    pom = ElementTree.canonicalize(POM.read_text(), strip_text=True)
    return hashlib.sha256(f"{pins}\0{pom}".encode()).hexdigest()


def _python(runtime: Path) -> str:
    folder = next(runtime.glob("lib/python3.*"), None)
    return (
        folder.name.removeprefix("python") if folder else f"{sys.version_info.major}.{sys.version_info.minor}"
    )
