"""What `spark-submit` is told of a job: only the market's own words; what users wrote travels encoded.

YARN starts programs through a shell and replaces braces in what it is given, Spark splits lists at commas and
expands patterns in addresses, and Airflow renders templates. So parameters are carried in one encoded
argument (java/runner decodes it), addresses percent-encoded, and values of variables quoted for the shell.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from market.hadoop import paths
from market.hadoop.allocation import DRIVER_CORES, overhead_mib
from market.hadoop.paths import JobFolder
from market.hadoop.site import POOL_LABEL
from market.hadoop.spark import FALLBACK, WORKING_JVM, fallback
from market.jobs import folder, grid, runs
from market.jobs.folder import Entry
from market.jobs.spec import JobSpec
from market.kit import settings
from market.kit.settings import Settings

JAVA_RUNNER_CLASS = "distributedmarket.Program"
_SESSION_CLASS = "distributedmarket.Session"
# The folder of results in the driver's container, where YARN puts the container's own for {{PWD}}. Not
# `results`: a program's own folder of that name may lie beside it.
_RESULTS = "{{PWD}}/market-results"
_DRIVER_LABEL = "spark.yarn.am.nodeLabelExpression"
TAGS = "spark.yarn.tags"
COPIES = "spark.yarn.appMasterEnv.MARKET_COPIES"
_FEW = 4  # files that go along one by one
_SECRETS_FILE = "MARKET_SECRETS_FILE"
_REDACTED = "(?i)secret|password|token|access[.]?key"  # spark.redaction.regex as Spark has it
_ENVIRONMENT = "environment"  # the folder in which a job's own Python environment is unpacked

# What a shell replaces inside double quotes, and what YARN does before it: {{NAME}} becomes $NAME, and <CPS>
# and <LOG_DIR> stand for other things. Two quotes between two characters are nothing to the shell.
_SHELL = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "`": "\\`"})
_YARN = {"{{": '{""{', "}}": '}""}', "<CPS>": '<""CPS>', "<LOG_DIR>": '<""LOG_DIR>'}
_SUFFIX = re.compile(r"(\.tar)?\.[A-Za-z0-9]+\Z")


def arguments(
    job_id: str, username: str, own_folder: JobFolder, spec: JobSpec, point: int = 0
) -> dict[str, Any]:
    """Return the arguments of SparkSubmitOperator for the first run of a job's point.

    `own_folder` is the job's. Those of a later run differ in its tag alone: see `tags`.
    """
    loaded = settings.load()
    root = folder.root(username, spec)
    places = [loaded.hdfs_uri + place for _, place in files(username, own_folder, spec)]
    number = len(spec.libs) - len(spec.folders)
    libs, archives, entry = places[:number], places[number:-1], places[-1]
    if spec.python_env:
        archives[-1] += f"#{_ENVIRONMENT}"
    jars = [place for place in libs if place.lower().endswith(".jar")]
    python = [place for place in libs if place not in jars]
    variables = _variables(loaded, job_id, root, own_folder, spec, spec.place(point))
    call = encoded(paths.base(entry), spec.main_class or "", *_params(spec, point, variables))
    python_files = None if spec.is_jar else f"{entry},{loaded.hdfs_uri}{paths.PYTHON_RUNNER}"
    return {
        # Java runs Python programs, too: so what a program leaves is saved, however its Python ends.
        "application": loaded.hdfs_uri + paths.JAVA_RUNNER,
        "java_class": JAVA_RUNNER_CLASS,
        "files": python_files,
        "jars": ",".join([entry, *jars] if spec.is_jar else jars) or None,
        "name": f"market {runs.first_tag(job_id, spec.place(point))}",
        "py_files": ",".join(python) or None,
        "archives": ",".join(archives) or None,
        "application_args": [call],
        "proxy_user": username,
        "yarn_queue": spec.machine_type,
        "num_executors": spec.executors,
        "executor_cores": spec.executor_cores,
        "executor_memory": f"{spec.executor_memory}m",
        "driver_memory": f"{spec.driver_memory}m",
        "conf": _tables(loaded, own_folder, spec.place(point))
        | dict(spec.spark_conf)
        | _conf(loaded, job_id, own_folder, spec, point, variables),
    }


def files(username: str, own_folder: JobFolder, spec: JobSpec) -> list[tuple[str, str]]:
    """Return the files that Spark is told of, the program's own last: (where it lies, where its copy lies).

    No two have one name: Spark puts them all in one folder.
    """
    root = folder.root(username, spec)
    placed = []
    libs = [name for name in spec.libs if name not in spec.folders]
    archives = (*spec.archives, spec.python_env) if spec.python_env else spec.archives
    for number, name in enumerate((*libs, *archives, spec.entry_file)):
        base = paths.base(name)
        suffix = _SUFFIX.search(base)
        plain = base if paths.is_plain(base) else f"file-{number}{suffix.group() if suffix else ''}"
        placed.append((f"{root}/{name}", f"{paths.program(own_folder)}/{number}/{plain}"))
    return placed


def few(spec: JobSpec, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return the names of what lies beside the program; nothing where it takes an archive.

    YARN brings a file in a fraction of the time in which an archive of it is written, read and unpacked. Each
    comes as a link to what is for reading only; `COPIES` names those of which the driver makes copies.
    """
    more = [entry for entry in entries if entry.path not in (spec.entry_file, *spec.libs)]
    ordinary = all(
        not entry.is_folder and "/" not in entry.path and paths.is_plain(entry.path) for entry in more
    )
    if len(more) > _FEW or not ordinary or "/" in spec.entry_file or spec.folders:
        return ()
    return tuple(entry.path for entry in more)


def few_places(own_folder: JobFolder, names: Iterable[str]) -> list[str]:
    """Return the addresses of files that go along one by one, for `files`."""
    return [f"{settings.load().hdfs_uri}{paths.few(own_folder)}/{name}" for name in names]


def beside(own_folder: JobFolder) -> str:
    """Return the address of the archive of what lies beside the program, for `archives`."""
    return f"{settings.load().hdfs_uri}{paths.beside(own_folder)}#{paths.BESIDE_LINK}"


def _variables(
    loaded: Settings, job_id: str, root: str, own_folder: JobFolder, spec: JobSpec, place: int | None
) -> dict[str, str]:
    """Return what a program finds in its environment, its owner's own variables among them."""
    variables = {
        **spec.env,
        "MARKET_JOB_ID": job_id,
        "MARKET_INPUT": loaded.hdfs_uri + root,
        "MARKET_OUTPUT": loaded.hdfs_uri + paths.output(own_folder, place),
        # For java/runner/market_runner/hdfs.py.
        "MARKET_WEBHDFS": loaded.address("namenode_http"),
    }
    return variables if place is None else variables | {"MARKET_POINT": str(place)}


def _tables(loaded: Settings, own_folder: JobFolder, place: int | None) -> dict[str, str]:
    """Return where a run's tables are, unless the job says otherwise: in its own folder, for all executors.

    What tables it has is known to the driver alone, in its memory, and ends with it.
    """
    return {
        "spark.sql.warehouse.dir": loaded.hdfs_uri + paths.warehouse(own_folder, place),
        "spark.hadoop.hive.exec.scratchdir": loaded.hdfs_uri + paths.hive(own_folder, place),
        "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:metastore;create=true",
    }


def _conf(
    loaded: Settings,
    job_id: str,
    own_folder: JobFolder,
    spec: JobSpec,
    point: int,
    variables: Mapping[str, str],
) -> dict[str, str]:
    """Return what a job may not set itself."""
    passed = {name: for_shell(value) for name, value in variables.items()}
    own = {"program": spec.entry_file, "paths": _import_folders(spec)}
    passed["MARKET_FOLDER"] = _base64(json.dumps(own))  # for market_folder.py
    # PySpark gives executors' Python these values as they stand here: sitecustomize.py puts the true ones in.
    passed["MARKET_VARIABLES"] = _base64(json.dumps(variables, ensure_ascii=False))
    conf = {
        TAGS: tags(runs.first_tag(job_id, spec.place(point)), job_id),
        _DRIVER_LABEL: POOL_LABEL if loaded.pool.enabled else spec.machine_type,
        "spark.yarn.executor.nodeLabelExpression": spec.machine_type,
        "spark.driver.cores": str(DRIVER_CORES),
        "spark.driver.memoryOverhead": f"{overhead_mib(spec.driver_memory)}m",
        "spark.executor.memoryOverhead": f"{overhead_mib(spec.executor_memory)}m",
        "spark.dynamicAllocation.enabled": "false",
        "spark.yarn.stagingDir": loaded.hdfs_uri + paths.staging(own_folder),
        FALLBACK: fallback(loaded, own_folder),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": loaded.hdfs_uri + paths.events(own_folder),
        "spark.yarn.submit.waitAppCompletion": "false",
        "spark.plugins": _SESSION_CLASS,
        # For java/runner/Results.java.
        "spark.market.results": loaded.hdfs_uri + paths.results(own_folder, spec.place(point)),
        "spark.market.unfinished": loaded.hdfs_uri + paths.unfinished(own_folder, spec.place(point)),
        "spark.yarn.appMasterEnv.MARKET_RESULTS": _RESULTS,
        # Otherwise Java finds no file with a letter in its name that ASCII lacks.
        "spark.yarn.appMasterEnv.LC_ALL": "C.UTF-8",
    }
    if spec.is_jar:  # its own work may be done in the driver's Java
        conf["spark.driver.extraJavaOptions"] = WORKING_JVM
    else:
        conf["spark.yarn.isPython"] = "true"
    if spec.python_env:
        passed["PYSPARK_PYTHON"] = f"./{_ENVIRONMENT}/bin/python"
    if spec.secrets:
        # The names are no secret, and what Spark shows of variables with these names it leaves out.
        conf["spark.redaction.regex"] = f"{_REDACTED}|(^|[.])({'|'.join(spec.secrets)})$"
        conf[f"spark.yarn.appMasterEnv.{_SECRETS_FILE}"] = loaded.hdfs_uri + paths.secrets(
            own_folder, runs.first_tag(job_id, spec.place(point))
        )
    for name, value in passed.items():
        conf[f"spark.yarn.appMasterEnv.{name}"] = conf[f"spark.executorEnv.{name}"] = value
    return conf


def _import_folders(spec: JobSpec) -> list[str]:
    """Return the folders beside the program, other than its root, that Python imports from."""
    of_program = spec.entry_file.rpartition("/")[0]
    return [*([of_program] if of_program and not spec.is_jar else []), *spec.folders]


def tags(tag: str, job_id: str) -> str:
    """Return the tags of a run's application: its own first, then those of its point and of its job."""
    return ",".join(dict.fromkeys((tag, runs.point_tag(tag), job_id)))


def _params(spec: JobSpec, point: int, variables: Mapping[str, str]) -> list[str]:
    values = {"input": variables["MARKET_INPUT"], "output": variables["MARKET_OUTPUT"]}
    values |= {name: grid.text(value) for name, value in spec.points[point].items()}
    return [grid.filled(item, values) for item in spec.app_params]


def encoded(*words: str) -> str:
    """Return words, none of which holds a NUL, as one that no shell, template or quoting touches."""
    return _base64("\0".join(words))


def secrets_file(values: Mapping[str, str]) -> bytes:
    """Return what the driver reads its secrets from (java/runner): name, value, and the value for a shell."""
    words = [word for name, value in values.items() for word in (name, value, for_shell(value))]
    return "".join(f"{word}\0" for word in words).encode()


def for_shell(value: str) -> str:
    """Return a value so that `export NAME="<it>"` in YARN's start script gives exactly the value."""
    value = value.translate(_SHELL)
    for sign, safe in _YARN.items():
        while sign in value:
            value = value.replace(sign, safe)
    return value


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
