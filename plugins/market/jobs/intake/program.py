"""The program of a job in its owner's home: which file runs, and whether all that is named is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from market.cluster.clients import hdfs
from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.cluster.hdfs import FileStatus
from market.hadoop import paths
from market.jobs.intake import python_env
from market.jobs.spec import LIBRARIES
from market.kit.errors import BadInputError
from market.people import homes

_MAX_LIBRARIES = 50
_PROGRAMS = (".py", ".ipynb", ".jar")
_KINDS = {
    "libs": LIBRARIES,
    "archives": (".zip", ".tar", ".tar.gz", ".tgz", ".jar"),
    "python_env": (".tar.gz", ".tgz", ".tar", ".zip"),
}


def libraries(username: str, request: Mapping[str, Any]) -> list[str]:
    """Return the libraries that a request names; behind a folder the archives of code that lie in it.

    A folder that is not there is left to `entry_file`, which names what is missing.
    """
    files = hdfs().as_user(username)
    root = paths.below(homes.path(username), request["root_path"])
    found = []
    for name in request["libs"]:
        found.append(name)
        if name.lower().endswith(LIBRARIES):
            continue
        try:
            statuses = files.list(f"{root}/{name}")
        except (HdfsNotFound, HdfsDenied):
            continue
        inside = sorted(status.name for status in statuses if status.name and not status.is_folder)
        found += [f"{name}/{base}" for base in inside if base.lower().endswith((".jar", ".zip", ".egg"))]
    if len(found := list(dict.fromkeys(found))) > _MAX_LIBRARIES:
        raise BadInputError(
            {"libs": [f"These are {len(found)} with what their folders hold; at most {_MAX_LIBRARIES} go."]}
        )
    return found


def entry_file(username: str, request: Mapping[str, Any]) -> str:
    """Return the file that runs: the one that the request names, else main.py, else the only program.

    Looks as the user. Raises BadInputError on the field whose file is missing, or of a kind that does not do,
    and TooLargeError where the home has no room for what a job writes.
    """
    homes.check_room(username)
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

    def status_of(name: str) -> FileStatus | None:
        try:
            return by_name.get(name) if "/" not in name else files.status(f"{root}/{name}")
        except HdfsDenied:  # something on the way is a file, or somebody else's
            return None

    errors = _missing(status_of, request)
    chosen = request.get("entry_file") or _only_program(by_name, request["libs"])
    if not chosen:
        errors["entry_file"] = [
            "Name the program: there is no main.py, and not exactly one other .py, .ipynb or .jar, in "
            f"{_folder(request['root_path'])}."
        ]
    elif (status := status_of(chosen)) is None or status.is_folder:
        errors["entry_file"] = [f"There is no file {chosen} in {_folder(request['root_path'])}."]
    if not errors:
        errors = _clashes(str(chosen), request)
    packed = request.get("python_env")
    if not errors and packed and (wrong := python_env.problem(files, f"{root}/{packed}")):
        errors["python_env"] = [wrong]
    if errors:
        raise BadInputError(errors)
    return str(chosen)


def _named(request: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the files that go with the program: (field, name)."""
    named = [(field, name) for field in ("libs", "archives") for name in request[field]]
    return [*named, ("python_env", name)] if (name := request.get("python_env")) else named


def _missing(
    status_of: Callable[[str], FileStatus | None], request: Mapping[str, Any]
) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    for field, name in _named(request):
        status, of_kind = status_of(name), name.lower().endswith(_KINDS[field])
        if field == "libs" and status is not None and status.is_folder and not of_kind:
            continue
        if status is None or status.is_folder:
            what = "file or folder" if field == "libs" and not of_kind else "file"
            errors.setdefault(field, []).append(f"There is no {what} {name} in {request['root_path']}.")
        elif not of_kind:
            also = ", or be a folder" if field == "libs" else ""
            errors.setdefault(field, []).append(
                f"{name} must end in one of {', '.join(_KINDS[field])}{also}."
            )
    return errors


def _clashes(chosen: str, request: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what cannot lie in a container's working folder, where all files are put under their names.

    Spark drops the second of two libraries of one name without a word, and refuses the second archive.
    """
    errors: dict[str, list[str]] = {}
    taken = {paths.base(chosen): chosen}
    for field, name in _named(request):
        base = paths.base(name)
        if field == "libs" and not base.lower().endswith(LIBRARIES):
            continue  # a folder stays where it is among the files beside the program
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


def _folder(root_path: str) -> str:
    """Return a folder of the home in words."""
    return "your home folder" if root_path == "." else root_path
