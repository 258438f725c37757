"""Where things lie in HDFS, and which paths of a user's are taken."""

from __future__ import annotations

import re
import unicodedata

from market.kit.errors import BadInputError

# HDFS's own limits: dfs.namenode.fs-limits.max-component-length, and its longest path less what stands
# before a user's part of it.
_PART_BYTES = 255
_PATH_CHARACTERS = 7000
# Addresses that mean the same in every part of Spark. Others it decodes more often than it encodes them,
# splits at commas, or takes for patterns.
_PLAIN = re.compile(r"[A-Za-z0-9_./@=+~-]+")

# What all jobs share: put there by `./market up`, named in what is submitted.
PYTHON_RUNNER = "/market/lib/market_program.py"
JAVA_RUNNER = "/market/lib/market_program.jar"
PYSPARK_ARCHIVE = "/market/lib/pyspark.zip"
STAGING = "/market/staging"


def job_folder(job_id: str) -> str:
    """Return the folder that holds what belongs to one job; its owner's, mode 700."""
    return f"/market/jobs/{job_id}"


def output(job_id: str, point: int | None = None) -> str:
    """Return a run's output folder: MARKET_OUTPUT, not there when the program starts.

    The folders of a sweep's points lie in the folder of the job.
    """
    return f"{job_folder(job_id)}/output" + ("" if point is None else f"/{point}")


def program(job_id: str, point: int | None = None) -> str:
    """Return the folder of a run's copies of those program files whose own names Spark would misread."""
    return f"{job_folder(job_id)}/program" + ("" if point is None else f"-{point}")


def relative(text: str, field: str) -> str:
    """Return a path relative to the home as it came, or raise BadInputError on `field`.

    `.` alone is the home itself.
    """
    if text != "." and (problem := _wrong(text)):
        raise BadInputError({field: [problem]})
    return text


def below(folder: str, path: str) -> str:
    """Return the absolute form of a path that `relative` has accepted."""
    return folder if path == "." else f"{folder}/{path}"


def base(path: str) -> str:
    """Return the last part of a path."""
    return path.rsplit("/", 1)[-1]


def is_plain(path: str) -> bool:
    """Tell whether every part of Spark reads a path as it is written."""
    return _PLAIN.fullmatch(path) is not None


def _wrong(text: str) -> str | None:
    if not text:
        return "A path is needed."
    if text.startswith("/"):
        return "Paths are relative to your home folder: no leading /."
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        return "A path holds no control character."
    if ":" in text:
        return "A path is relative to your home folder and has no scheme; HDFS takes no colon in a name."
    if len(text) > _PATH_CHARACTERS:
        return f"A path has at most {_PATH_CHARACTERS} characters."
    parts = text.split("/")
    if "" in parts:
        return "A path has no empty part: no // and no / at its end."
    if ".." in parts or "." in parts:
        return "A path has no part . or .. in it."
    if any(len(part.encode()) > _PART_BYTES for part in parts):
        return f"Each part of a path has at most {_PART_BYTES} bytes."
    return None
