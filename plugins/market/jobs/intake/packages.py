"""The packages that a job asks for, and whether somebody has asked for the same before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from market.cluster.clients import hdfs
from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.hadoop import paths
from market.jobs import requirements
from market.jobs.spec import JobSpec
from market.jobs.submission import environments
from market.kit.errors import BadInputError
from market.people import homes

_FILE = "requirements.txt"


def asked(username: str, request: Mapping[str, Any], entry_file: str) -> list[str]:
    """Return what a request asks for, in one form: its own list, else that of the file beside its program.

    Looks as the user. A program in Java, or with a Python of its own, needs none of the file. Raises
    BadInputError.
    """
    own, other = request.get("requirements"), entry_file.lower().endswith(".jar")
    if own and (other or request.get("python_env")):
        what = "a program in Java" if other else "python_env, which brings its own"
        raise BadInputError({"requirements": [f"are not for {what}; leave one of the two out"]})
    if own is not None or other or request.get("python_env"):
        return requirements.of_lines(own or [])[0]
    found, problems = requirements.of_text(_text(username, request["root_path"]))
    if problems:
        raise BadInputError({"requirements": [f"{_FILE}: {problem}" for problem in problems[:10]]})
    return found


def looked_up(spec: JobSpec) -> JobSpec:
    """Return a job knowing whether its packages must be fetched first."""
    return replace(spec, builds=bool(spec.requirements) and environments.found(spec.requirements) is None)


def _text(username: str, root_path: str) -> str:
    """Return what the file says, nothing if there is none. Raises BadInputError."""
    files, place = hdfs().as_user(username), f"{paths.below(homes.path(username), root_path)}/{_FILE}"
    try:
        status = files.status(place)
        if status is None or status.is_folder or not status.size:
            return ""
        if status.size > requirements.MAX_BYTES:
            raise BadInputError(
                {
                    "requirements": [
                        f"{_FILE} has {status.size} bytes; at most {requirements.MAX_BYTES} are read"
                    ]
                }
            )
        return files.read(place).decode()
    except (HdfsNotFound, HdfsDenied):
        return ""
    except UnicodeDecodeError:
        raise BadInputError({"requirements": [f"{_FILE} is no text in UTF-8"]}) from None
