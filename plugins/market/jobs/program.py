"""The program of a job in its owner's home: which file runs, and whether all that is named is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market.accounts import homes
from market.cluster.clients import hdfs
from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.cluster.hdfs import FileStatus
from market.errors import BadInputError
from market.jobs import paths

_PROGRAMS = (".py", ".jar")
_LIBRARIES = (".py", ".zip", ".egg", ".jar")
_ENVIRONMENTS = (".tar.gz", ".tgz", ".tar", ".zip")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".jar")


def entry_file(username: str, asked: Mapping[str, Any]) -> str:
    """Return the file that runs: the one that was asked for, else main.py, else the only program.

    Looks as the user. Raises BadInputError on the field whose file is missing, or of a kind that does not do.
    """
    files = hdfs().as_user(username)
    root = paths.below(homes.path(username), asked["root_path"])
    try:
        found = files.list(root)
    except (HdfsNotFound, HdfsDenied):
        raise BadInputError(
            {"root_path": ["There is no such folder in your home. Upload it first."]}
        ) from None
    if len(found) == 1 and not found[0].name:
        raise BadInputError({"root_path": ["This is a file; name the folder that it is in."]})
    here = {one.name: one for one in found}
    errors: dict[str, list[str]] = {}

    def there(name: str) -> bool:
        status: FileStatus | None = here.get(name) if "/" not in name else files.status(f"{root}/{name}")
        return status is not None and not status.is_folder

    environment = [name] if (name := asked.get("python_env")) else []
    for field, kinds, names in (
        ("libs", _LIBRARIES, asked["libs"]),
        ("archives", _ARCHIVES, asked["archives"]),
        ("python_env", _ENVIRONMENTS, environment),
    ):
        for name in names:
            if not there(name):
                errors.setdefault(field, []).append(f"There is no file {name} in {asked['root_path']}.")
            elif not name.lower().endswith(kinds):
                errors.setdefault(field, []).append(f"{name} must end in one of {', '.join(kinds)}.")
    chosen = asked.get("entry_file") or _only_program(here, asked["libs"])
    if not chosen:
        errors["entry_file"] = [
            "Name the program: there is no main.py, and not exactly one other .py or .jar, in "
            f"{asked['root_path']}."
        ]
    elif not there(chosen):
        errors["entry_file"] = [f"There is no file {chosen} in {asked['root_path']}."]
    if errors:
        raise BadInputError(errors)
    return str(chosen)


def _only_program(here: Mapping[str, FileStatus], libs: list[str]) -> str | None:
    main = here.get("main.py")
    if main is not None and not main.is_folder:
        return "main.py"
    programs = [
        name
        for name, one in here.items()
        if not one.is_folder and name.lower().endswith(_PROGRAMS) and name not in libs
    ]
    return programs[0] if len(programs) == 1 else None
