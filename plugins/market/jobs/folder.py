"""What lies beside a job's program in its folder and goes along with it, within bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from market.cluster.clients import hdfs
from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.cluster.hdfs import Hdfs
from market.hadoop import paths
from market.jobs.spec import JobSpec
from market.kit import settings
from market.kit.errors import BadInputError
from market.people import homes

_MIB = 1 << 20
_MOST_FOLDERS = 1000  # that are looked into
_LARGEST = 3  # that are named where there is too much
# What programs make for themselves, and nobody means to send along.
_NEVER = ("__pycache__", ".git", ".ipynb_checkpoints", *paths.HIDDEN)


@dataclass(frozen=True)
class Entry:
    """A file or a folder; `path` is relative to the job's folder, `size` in bytes."""

    path: str
    size: int
    is_folder: bool
    modified_ms: int


def root(username: str, spec: JobSpec) -> str:
    """Return the job's folder in HDFS."""
    return paths.below(homes.path(username), spec.root_path)


def beside(username: str, spec: JobSpec) -> list[Entry]:
    """Return what goes along with the program, itself included; nothing where it lies there alone.

    Raises BadInputError where it is more than the settings allow.
    """
    found = list(_chosen(hdfs().as_user(username), root(username, spec), spec))
    _check(spec, found)
    alone = {spec.entry_file, *(name for name in spec.libs if name.endswith(".py"))}
    return [] if all(entry.path in alone for entry in found) else found


def _chosen(files: Hdfs, top: str, spec: JobSpec) -> Iterator[Entry]:
    needed = {*spec.folders, *(name for name in spec.libs if name.lower().endswith(".py"))}
    needed |= set() if spec.is_jar else {spec.entry_file}
    # These come by themselves: a second copy would only count.
    brought = {*spec.archives, spec.python_env, *(name for name in spec.libs if name not in needed)}
    brought |= {spec.entry_file} - needed
    waiting, looked = [""], 0
    while waiting:
        looked += 1
        if looked > _MOST_FOLDERS:
            raise _too_much(f"has more than {_MOST_FOLDERS} folders in it")
        folder = waiting.pop()
        try:
            statuses = files.list(f"{top}/{folder}".rstrip("/"))
        except (HdfsNotFound, HdfsDenied):  # gone meanwhile, or closed to its owner: nothing in it goes along
            continue
        for status in sorted(statuses, key=lambda status: status.name):
            path = f"{folder}/{status.name}" if folder else status.name
            if status.name in _NEVER and path not in needed:
                continue
            left_out = _matches(path, spec.exclude)
            asked = any(path == name or path.startswith(f"{name}/") for name in needed)
            on_the_way = asked or any(name.startswith(f"{path}/") for name in needed)
            if status.is_folder and (on_the_way or not left_out):
                waiting.append(path)
            wanted = asked or (not left_out and (not spec.files or _matches(path, spec.files)))
            if wanted and path not in brought:
                yield Entry(path, status.size, status.is_folder, status.modified_ms)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    """Tell whether a path, or a folder that it lies in, is what a pattern means.

    A pattern with a `/` is meant from the job's folder on; another one is the name of anything in it.
    """
    parts = path.split("/")
    folders = ["/".join(parts[: number + 1]) for number in range(len(parts))]
    return any(
        fnmatchcase(candidate, pattern.rstrip("/"))
        for pattern in patterns
        for candidate in (folders if "/" in pattern.rstrip("/") else parts)
    )


def _check(spec: JobSpec, found: list[Entry]) -> None:
    limits = settings.load().jobs
    size = sum(entry.size for entry in found)
    if size <= limits.folder_mib * _MIB and len(found) <= limits.folder_files:
        return
    largest = sorted(found, key=lambda entry: -entry.size)[:_LARGEST]
    named = ", ".join(f"{entry.path} with {entry.size / _MIB:.1f} MiB" for entry in largest)
    raise _too_much(f"has {len(found)} files and folders with {size / _MIB:.1f} MiB (the largest: {named})")


def _too_much(what: str) -> BadInputError:
    limits = settings.load().jobs
    words = (
        f"This folder {what}; at most {limits.folder_files} with {limits.folder_mib} MiB go along with a"
        " program. Name those that it needs in files, or those that it does not in exclude: Spark reads them"
        " all the same."
    )
    return BadInputError({"root_path": [words]})
