"""The program of a job in its owner's home: which file runs, and whether all that is named is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from market.cluster.clients import hdfs
from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.cluster.hdfs import FileStatus
from market.hadoop import paths
from market.kit.errors import BadInputError
from market.people import homes

_PROGRAMS = (".py", ".jar")
_KINDS = {
    "libs": (".py", ".zip", ".egg", ".jar"),
    "archives": (".zip", ".tar", ".tar.gz", ".tgz", ".jar"),
    "python_env": (".tar.gz", ".tgz", ".tar", ".zip"),
}


def entry_file(username: str, request: Mapping[str, Any]) -> str:
    """Return the file that runs: the one that the request names, else main.py, else the only program.

    Looks as the user. Raises BadInputError on the field whose file is missing, or of a kind that does not do.
    """
    files = hdfs().as_user(username)
    root = paths.below(homes.path(username), request["root_path"])
    try:
        statuses = files.list(root)
    except (HdfsNotFound, HdfsDenied):
        raise BadInputError(
            {"root_path": ["There is no such folder in your home. Upload it first."]}
        ) from None
    if len(statuses) == 1 and not statuses[0].name:
        raise BadInputError({"root_path": ["This is a file; name the folder that it is in."]})
    by_name = {status.name: status for status in statuses}

    def is_file(name: str) -> bool:
        try:
            status = by_name.get(name) if "/" not in name else files.status(f"{root}/{name}")
        except HdfsDenied:  # something on the way is a file, or somebody else's
            return False
        return status is not None and not status.is_folder

    errors = _missing(is_file, request)
    chosen = request.get("entry_file") or _only_program(by_name, request["libs"])
    if not chosen:
        errors["entry_file"] = [
            "Name the program: there is no main.py, and not exactly one other .py or .jar, in "
            f"{request['root_path']}."
        ]
    elif not is_file(chosen):
        errors["entry_file"] = [f"There is no file {chosen} in {request['root_path']}."]
    if not errors:
        errors = _clashes(str(chosen), request)
    if errors:
        raise BadInputError(errors)
    return str(chosen)


def _named(request: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the files that go with the program: (field, name)."""
    named = [(field, name) for field in ("libs", "archives") for name in request[field]]
    return [*named, ("python_env", name)] if (name := request.get("python_env")) else named


def _missing(is_file: Callable[[str], bool], request: Mapping[str, Any]) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    for field, name in _named(request):
        if not is_file(name):
            errors.setdefault(field, []).append(f"There is no file {name} in {request['root_path']}.")
        elif not name.lower().endswith(_KINDS[field]):
            errors.setdefault(field, []).append(f"{name} must end in one of {', '.join(_KINDS[field])}.")
    return errors


def _clashes(chosen: str, request: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what cannot lie in a container's working folder, where all files are put under their names.

    Spark drops the second of two libraries of one name without a word, and refuses the second archive.
    """
    errors: dict[str, list[str]] = {}
    taken = {paths.base(chosen): chosen}
    for field, name in _named(request):
        base = paths.base(name)
        if base in taken:
            errors.setdefault(field, []).append(
                f"{name} and {taken[base]} have one name in the job; give one of them another."
            )
        elif (field == "archives" or base.endswith(".py")) and not paths.is_plain(base):
            errors.setdefault(field, []).append(
                f"{name} is found under its name in the job; use letters, digits and . _ - + = @ ~ in it."
            )
        taken[base] = name
    return errors


def _only_program(by_name: Mapping[str, FileStatus], libs: list[str]) -> str | None:
    main = by_name.get("main.py")
    if main is not None and not main.is_folder:
        return "main.py"
    programs = [
        name
        for name, status in by_name.items()
        if not status.is_folder and name.lower().endswith(_PROGRAMS) and name not in libs
    ]
    return programs[0] if len(programs) == 1 else None
