"""The Python packages that a job asks for: lines of a requirements.txt, of those kinds that can be taken.

Names and versions of packages in the index, with hashes if wanted. Nothing that names another index, an
address or a file: what is built is shared by all who ask for the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

MAX_LINES, MAX_BYTES = 500, 64 << 10
# PySpark comes from the market: another one would not fit its own Java.
_OF_THE_MARKET = frozenset({"pyspark", "pyspark-client", "pyspark-connect", "py4j"})
_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s+--hash[= ](sha256|sha384|sha512):[0-9a-f]{64,128}")


def of_text(text: str) -> tuple[list[str], list[str]]:
    """Return the requirements in a file's text, each on one line in one form, and what is wrong with it."""
    joined = re.sub(r"\\\r?\n", " ", text.removeprefix("\ufeff"))
    return of_lines(joined.splitlines())


def of_lines(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the same of lines that were given one by one."""
    found, problems = [], []
    if len(given) > MAX_LINES or sum(len(line.encode()) for line in given) > MAX_BYTES:
        return [], [f"may have at most {MAX_LINES} lines with {MAX_BYTES} bytes"]
    for line in given:
        stripped = _COMMENT.sub("", line).strip()
        if not stripped:
            continue
        try:
            requirement = _canonical(stripped)
        except ValueError as error:
            problems.append(f"{stripped[:100]!r} {error}")
            continue
        if requirement:
            found.append(requirement)
    return sorted(dict.fromkeys(found)), problems


def name(requirement: str) -> str:
    """Return the name of the package in a line that `of_lines` has returned."""
    return re.split(r"[^a-z0-9-]", requirement, maxsplit=1)[0]


def is_lock(requirements: Sequence[str]) -> bool:
    """Tell whether every line names one version with its hashes: then the list cannot mean anything else."""
    return all("==" in line and " --hash=" in line for line in requirements)


def _canonical(line: str) -> str:
    """Return a requirement in one form, nothing if the market brings it. Raises ValueError."""
    hashes = sorted(match.group().strip().replace(" ", "=") for match in _HASH.finditer(line))
    bare = _HASH.sub("", line).strip()
    if bare.startswith("-"):
        raise ValueError("is an option: only names and versions of packages can be taken")
    if "://" in bare or bare.startswith((".", "/")) or bare.endswith((".whl", ".tar.gz", ".zip")):
        raise ValueError(
            "is an address or a file: only packages of the index can be taken; use libs for a file"
        )
    try:
        requirement = Requirement(bare)
    except InvalidRequirement:
        raise ValueError("is no name of a package with versions, like numpy==2.1 or numpy>=2,<3") from None
    if requirement.url:
        raise ValueError("is an address: only packages of the index can be taken; use libs for a file")
    requirement.name = canonicalize_name(requirement.name)
    return "" if requirement.name in _OF_THE_MARKET else " ".join([str(requirement), *hashes])
