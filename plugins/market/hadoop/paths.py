"""Where things lie in HDFS, and which paths of a user's are taken."""

from __future__ import annotations

import re
import unicodedata
from typing import NewType

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
# The name in a container's working folder under which `beside` is unpacked: java/runner knows it as well.
BESIDE_LINK = "__root_path__"
ENVIRONMENTS = "/market/environments"
PACKAGES_LINK = "__packages__"  # the same of an environment
HOMES = "/user"
STAGING = "/market/staging"  # of the market's own applications; a job's is in its folder
# Spark's event logs of ended jobs, put there by the market; what applications of all people write to. YARN
# collects logs into the folder of each person.
EVENT_LOGS, CONTAINER_LOGS, SCRATCH = "/spark-logs", "/yarn-logs", "/tmp"  # noqa: S108 - a folder of HDFS
# Folders of a home that are the market's and Spark's business, not its owner's: uploads on their way, jobs.
UPLOADS, JOBS = ".market-uploads", ".market-jobs"
HIDDEN = frozenset({UPLOADS, JOBS, ".sparkStaging"})

# The folder of one job. What belongs to it lies below, and all of that is named here: so what counts is where
# the job says that its folder is (`Job.folder`), and nobody puts an address together from its id.
JobFolder = NewType("JobFolder", str)


def home(username: str) -> str:
    """Return a user's home folder."""
    return f"{HOMES}/{username}"


def container_logs(username: str) -> str:
    """Return the folder that YARN collects the logs of a user's applications into."""
    return f"{CONTAINER_LOGS}/{username}"


def job_folder(username: str, job_id: str) -> JobFolder:
    """Return the folder that holds what belongs to a new job; its owner's, mode 700.

    It lies in his home: HDFS counts by folders, and one quota is to hold for all that is one person's.
    """
    return JobFolder(f"{home(username)}/{JOBS}/{job_id}")


def stored_folder(job_id: str, folder: str | None) -> JobFolder:
    """Return the folder of a stored job; jobs from before it was stored have theirs beside the homes."""
    return JobFolder(folder or f"/market/jobs/{job_id}")


def output(folder: JobFolder, point: int | None = None) -> str:
    """Return a run's output folder: MARKET_OUTPUT, not there when the program starts.

    The folders of a sweep's points lie in the folder of the job.
    """
    return f"{folder}/output" + ("" if point is None else f"/{point}")


def results(folder: JobFolder, point: int | None = None) -> str:
    """Return the folder in HDFS of what a run's driver had in its folder MARKET_RESULTS.

    It lies beside the output: that must not be there when the program starts, and Spark refuses to write to a
    folder that is.
    """
    return f"{folder}/results" + ("" if point is None else f"/{point}")


def working(folder: JobFolder, point: int | None = None) -> str:
    """Return the folder of what a run needs while it lasts; it goes when the job has ended."""
    return f"{folder}/working" + ("" if point is None else f"/{point}")


def unfinished(folder: JobFolder, point: int | None = None) -> str:
    """Return the folder of a file on its way to `results`."""
    return f"{working(folder, point)}/unfinished"


def warehouse(folder: JobFolder, point: int | None = None) -> str:
    """Return the folder of the tables that a run makes with `saveAsTable` or `CREATE TABLE`."""
    return f"{working(folder, point)}/warehouse"


def hive(folder: JobFolder, point: int | None = None) -> str:
    """Return the folder in which a run's Hive keeps what it works on."""
    return f"{working(folder, point)}/hive"


def events(folder: JobFolder) -> str:
    """Return the folder of the event logs of a job's runs while it is open; then they move to EVENT_LOGS."""
    return f"{folder}/events"


def staging(folder: JobFolder) -> str:
    """Return the folder in which Spark stages a job's applications."""
    return f"{folder}/staging"


def environment(name: str) -> str:
    """Return the archive of packages that a lock of this name stands for; all may read it."""
    return f"{ENVIRONMENTS}/{name}.tar"


def environment_asked(name: str) -> str:
    """Return the file that tells what those packages were resolved to that somebody has asked for."""
    return f"{ENVIRONMENTS}/{name}.json"


def environment_log(folder: JobFolder) -> str:
    """Return the log of the building of a job's environment."""
    return f"{folder}/environment.log"


def handed(folder: JobFolder) -> str:
    """Return the folder of what a job's containers are handed; it goes when the job has ended."""
    return f"{folder}/handed"


def program(folder: JobFolder) -> str:
    """Return the folder of the copies of what a job is made of: all its runs have the same."""
    return f"{handed(folder)}/program"


def kept(username: str) -> str:
    """Return the folder of the copies of a person's large files: his jobs share them."""
    return f"{home(username)}/{JOBS}/kept"


def kept_marks(folder: JobFolder) -> str:
    """Return the folder whose files name the large files of a job."""
    return f"{program(folder)}/kept"


def few(folder: JobFolder) -> str:
    """Return the folder of those that lay beside the program and go along one by one."""
    return f"{program(folder)}/few"


def beside(folder: JobFolder) -> str:
    """Return the archive of what lay beside the program, where it is more."""
    return f"{program(folder)}/beside.tar"


def secrets(folder: JobFolder, tag: str) -> str:
    """Return the file that hands a run its owner's secrets; its driver deletes it."""
    return f"{handed(folder)}/secrets-{tag}"


def relative(text: str, field: str) -> str:
    """Return a path relative to the home as it came, or raise BadInputError on `field`.

    `.` alone is the home itself.
    """
    if text != "." and (problem := _wrong(text)):
        raise BadInputError({field: [problem]})
    return text


def can_be_asked_for(path: str) -> bool:
    """Tell whether `relative` accepts a path: HDFS takes names that no address of ours does."""
    return _wrong(path) is None


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
    # Nearly all are printable, and need no look at each character.
    if not text.isprintable() and any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
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
